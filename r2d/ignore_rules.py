"""Which files stay out of the build context: the rules of `.dockerignore`, as Docker documents them.

Docker's client departs from its documentation in corners, r2d does not: the last line that matches a file or a folder
above it decides, even when that is an exception for a folder that was never excluded; `/!x` names a file; `\\d` is the
letter d and no digit; `^` outside of brackets is a character; `*` and `**` match names with line breaks.
"""

import posixpath
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter

from r2d.errors import InvalidEnvironmentFile

_BYTE_ORDER_MARK = "\ufeff"
_WILDCARD = re.compile(r"[*?\[\\]")
# What follows `[` up to its `]`: single characters and ranges, where `-`, `]` and `\` count only when escaped.
_CLASS_MEMBER = r"(?:\\[\s\S]|[^\]\\-])"
_CLASS = re.compile(rf"\[(\^?+)((?:{_CLASS_MEMBER}(?:-{_CLASS_MEMBER})?)+)\]")
_CLASS_RANGE = re.compile(rf"({_CLASS_MEMBER})(?:-({_CLASS_MEMBER}))?")


@dataclass(frozen=True)
class Pattern:
    """One line of an ignore file, cleaned: no leading or trailing slash, no `.` and `..`."""

    text: str
    keeps: bool = False  # it began with `!`

    @property
    def literal(self) -> str:
        """What every path it matches begins with."""
        return _WILDCARD.split(self.text, maxsplit=1)[0]

    def may_match_below(self, directory: str) -> bool:
        """Whether a path inside the directory could match; a doubt counts as yes."""
        below = f"{directory}/"
        if self.literal.startswith(below):
            return True
        return self.literal != self.text and below.startswith(self.literal)


@dataclass(frozen=True)
class _Block:
    """Neighbouring patterns of one kind: a path matches the block when it, or a folder above it, matches any."""

    keeps: bool
    expression: re.Pattern[str]


@dataclass(frozen=True)
class IgnoreRules:
    """What stays out of a build context; the last pattern that matches decides."""

    patterns: tuple[Pattern, ...] = ()
    _blocks: tuple[_Block, ...] = ()  # last first

    @classmethod
    def parse(cls, texts: Iterable[str], always: tuple[str, ...] = ()) -> "IgnoreRules":
        """The rules of ignore files read one after the other; `always` goes first, so that a file can undo it."""
        patterns = [pattern for line in always if (pattern := _pattern(line, line))]
        for text in texts:
            patterns += _patterns(text)
        blocks = [_block(keeps, list(group)) for keeps, group in groupby(patterns, key=attrgetter("keeps"))]
        return cls(tuple(patterns), tuple(reversed(blocks)))

    def excludes(self, path: str) -> bool:
        """Whether a path, relative to the root and with `/` between its parts, stays out."""
        for block in self._blocks:
            if block.expression.fullmatch(path):
                return not block.keeps
        return False

    def may_hold_exceptions(self, directory: str) -> bool:
        """Whether something inside a directory that stays out could be kept all the same."""
        return any(pattern.keeps and pattern.may_match_below(directory) for pattern in self.patterns)


def _patterns(text: str) -> Iterator[Pattern]:
    for number, line in enumerate(text.removeprefix(_BYTE_ORDER_MARK).split("\n"), start=1):
        # Only a line that begins with `#` is a comment: ` #x` names a file.
        if not line.startswith("#") and (pattern := _pattern(line, f"line {number} of the ignore file")):
            yield pattern


def _pattern(line: str, where: str) -> Pattern | None:
    line = line.strip()
    keeps = line.startswith("!")
    text = line.removeprefix("!").strip()
    cleaned = posixpath.normpath(text).lstrip("/") if text else ""
    if keeps and not cleaned:
        raise InvalidEnvironmentFile(
            "`!` keeps nothing: it names no file.",
            where=where,
            fix="Write the path to keep after it: `!data/small.csv`.",
        )
    if not cleaned:
        return None
    _refuse_malformed(cleaned, where)
    return Pattern(cleaned, keeps)


def _refuse_malformed(text: str, where: str) -> None:
    try:
        re.compile(_expression(text))
    except ValueError as error:
        raise InvalidEnvironmentFile(
            f"{text!r} is not a pattern: {error}.", where=where, fix=_MALFORMED_FIX
        ) from None
    except re.error:
        raise InvalidEnvironmentFile(
            f"{text!r} is not a pattern: a range in brackets runs backwards.", where=where, fix=_MALFORMED_FIX
        ) from None


_MALFORMED_FIX = (
    r"Brackets hold characters or ranges: `[a-z]`, `[^0-9]`. Write `\[`, `\]`, `\-` for the characters."
)


def _block(keeps: bool, patterns: list[Pattern]) -> _Block:
    either = "|".join(_expression(pattern.text) for pattern in patterns)
    # A folder that matches takes everything below it along.
    return _Block(keeps, re.compile(f"(?:{either})(?:/.*)?", re.DOTALL))


def _expression(pattern: str) -> str:
    if pattern.startswith("**") and not _WILDCARD.search(pattern[2:]) and "]" not in pattern:
        return _ending(pattern[2:])
    parts = []
    position = 0
    while position < len(pattern):
        part, position = _next_part(pattern, position)
        parts.append(part)
    return "".join(parts)


def _ending(text: str) -> str:
    """`**/x` is x at any depth; `**x` is every path that ends in x."""
    if text.startswith("/"):
        return f"(?:.*/)?{re.escape(text[1:])}"
    return f".*{re.escape(text)}"


def _next_part(pattern: str, position: int) -> tuple[str, int]:
    """The regular expression of what stands at a position, and where the next part begins."""
    match pattern[position]:
        case "*" if pattern.startswith("**", position):
            following = position + (3 if pattern.startswith("**/", position) else 2)
            return ("(?:.*/)?" if following < len(pattern) else ".*"), following
        case "*":
            return "[^/]*", position + 1
        case "?":
            return "[^/]", position + 1
        case "[":
            found = _CLASS.match(pattern, position)
            if not found:
                raise ValueError("a bracket is not closed, or holds a bare `-` or `]`")
            return _class(found), found.end()
        case "\\":
            if position + 1 == len(pattern):
                raise ValueError("it ends in a backslash that escapes nothing")
            return re.escape(pattern[position + 1]), position + 2
        case character:
            return re.escape(character), position + 1


def _class(found: re.Match[str]) -> str:
    ranges = (
        "-".join(re.escape(end[-1]) for end in member.groups() if end)
        for member in _CLASS_RANGE.finditer(found[2])
    )
    return f"[{found[1]}{''.join(ranges)}]"
