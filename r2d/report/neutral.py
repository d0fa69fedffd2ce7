"""What a build or a container prints, made fit for a terminal: no control character survives but the tab."""

import re
import unicodedata

# Whole sequences (ECMA-48) vanish: colours, cursor moves, titles, links, the clipboard. One that does not end on
# its line is no sequence: its first character is shown and the rest stays readable, so that nothing can hide in it.
_SEQUENCE_OR_SUSPECT = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)"
    r"|\x1b[ -/]+[0-~]"
    r"|\x1b[0-OQ-WYZ\\`-~]"
    r"|[^\x20-\x7e]"
)

# Bell, backspace and the two shifts of the character set carry nothing to read.
_SILENT = frozenset("\x07\x08\x0e\x0f")

# Controls, invisible format characters (direction overrides, zero-width ones, tags), halves of surrogate pairs
# and Unicode's own line breaks.
_SHOWN_ESCAPED = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def neutralise(text: str) -> str:
    """One line as a terminal would end up showing it, without anything that steers a terminal."""
    if text.isprintable():
        return text
    return _SEQUENCE_OR_SUSPECT.sub(_harmless, _last_overwrite(text))


def neutral_lines(text: str) -> list[str]:
    """The lines of a text, each neutralised."""
    return [neutralise(line) for line in text.removesuffix("\n").split("\n")]


def neutral_words(text: str) -> str:
    """A text on one line, neutralised, its runs of white space made one space."""
    return neutralise(" ".join(text.split()))


def _last_overwrite(line: str) -> str:
    """What is left of a progress line that returned to its start again and again."""
    return line.rstrip("\r").rpartition("\r")[2]


def _harmless(match: re.Match[str]) -> str:
    found = match[0]
    if len(found) > 1 or found in _SILENT:
        return ""
    if found == "\t" or unicodedata.category(found) not in _SHOWN_ESCAPED:
        return found
    return found.encode("unicode_escape").decode("ascii")
