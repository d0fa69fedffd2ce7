"""The rules of ignore files, held to Docker's documentation and to a second, simpler matcher."""

from fnmatch import fnmatchcase

import pytest
from docker.utils.build import PatternMatcher
from hypothesis import given
from hypothesis import strategies as st

from r2d.errors import InvalidEnvironmentFile
from r2d.ignore_rules import IgnoreRules


def excluded(text: str, path: str) -> bool:
    return IgnoreRules.parse([text]).excludes(path)


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("docs", "docs"),
        ("docs", "docs/a/b.md"),
        ("docs/", "docs"),
        ("/docs", "docs/a"),
        ("./docs/../docs/.", "docs"),
        ("*", "anything"),
        ("*", "any/thing"),
        ("*.py", "a.py"),
        ("*.py", "a.py/below"),
        ("*/temp*", "somedir/temporary.txt"),
        ("*/temp*", "somedir/temp"),
        ("*/*/temp*", "somedir/subdir/temporary.txt"),
        ("temp?", "tempa"),
        ("**", "a/b/c"),
        ("**/", "a"),
        ("**/*.go", "a.go"),
        ("**/*.go", "a/b/c.go"),
        ("**/node_modules", "node_modules/x"),
        ("**/node_modules", "a/b/node_modules/x/y"),
        ("a/**/b", "a/b"),
        ("a/**/b", "a/x/y/b"),
        ("dir/**", "dir/a/b"),
        ("a**", "abc/def"),
        ("a**/*.txt", "a/dir/dir/file.txt"),
        ("**file", "dir/otherfile"),
        ("a[b-d]e", "ace"),
        ("a[^b-d]e", "aze"),
        ("[!a]", "!"),
        (r"a\*b", "a*b"),
        (r"[\]a]", "]"),
        (r"[\-x]", "-"),
        ("a.|)$(}+{bc", "a.|)$(}+{bc"),
        ("a^b*", "a^bc"),
        ("*.txt", "two\nlines.txt"),
        (" spaced name ", "spaced name"),
        (" # no comment", "# no comment"),
        ("[a-ζ]*", "α"),
        ("*.dat", "\udcff.dat"),
    ],
)
def test_a_pattern_excludes_what_docker_excludes(pattern: str, path: str) -> None:
    assert excluded(pattern, path)


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("docs", "docs2"),
        ("docs", "a/docs"),
        ("*.py", "a/b.py"),
        ("*/temp*", "temp"),
        ("temp?", "temp"),
        ("a?b", "a/b"),
        ("dir/**", "dir"),
        ("a/*.txt", "a/dir/file.txt"),
        ("**/.foo", "bar.foo"),
        ("**/file", "otherfile"),
        ("abc.def", "abcZdef"),
        ("A.txt", "a.txt"),
        ("a[b-d]e", "aae"),
        ("[!a]", "b"),
        (r"\d", "1"),
        ("# comment", "# comment"),
        (".", "a"),
        ("/", "a"),
        ("../a", "a"),
        ("", "a"),
    ],
)
def test_a_pattern_leaves_what_docker_leaves(pattern: str, path: str) -> None:
    assert not excluded(pattern, path)


@pytest.mark.parametrize(
    ("text", "path", "expected"),
    [
        ("*.md\n!README.md", "README.md", False),
        ("*.md\n!README*.md\nREADME-secret.md", "README-secret.md", True),
        ("*.md\nREADME-secret.md\n!README*.md", "README-secret.md", False),
        ("!a.go\n*.go", "a.go", True),
        ("docs\n!docs/README.md", "docs/README.md", False),
        ("docs\n!docs/README.md", "docs/other.md", True),
        ("**\n!util/web", "util/web/foo", False),
        ("**\n!util/web\nutil/web/foo", "util/web/foo", True),
        ("docs\n! /docs/a", "docs/a", False),
        ("**/*.pyc\n!src", "src/a.pyc", False),
        ("a\n!a/b\na", "a/b", True),
    ],
)
def test_the_last_pattern_that_matches_decides(text: str, path: str, expected: bool) -> None:
    assert excluded(text, path) is expected


def test_line_ends_of_windows_and_a_byte_order_mark_change_nothing() -> None:
    rules = IgnoreRules.parse(["\ufeff# comment\r\n\r\n*.log\r\n!keep.log\r\n"])
    assert rules.excludes("a.log")
    assert not rules.excludes("keep.log")


def test_a_second_file_goes_on_where_the_first_ended() -> None:
    rules = IgnoreRules.parse(["*.log", "!keep.log"])
    assert not rules.excludes("keep.log")


def test_git_stays_out_unless_the_repository_wants_it() -> None:
    assert IgnoreRules.parse([], always=(".git",)).excludes(".git/config")
    assert not IgnoreRules.parse(["!.git"], always=(".git",)).excludes(".git/config")


@pytest.mark.parametrize(
    ("text", "directory", "expected"),
    [
        ("docs\n!docs/README.md", "docs", True),
        ("docs\n!docs/README.md", "docs/deep", False),
        ("docs\n!other/README.md", "docs", False),
        ("*\n!data/*.csv", "data", True),
        ("*\n!data/*.csv", "pictures", False),
        (".git\n!**/*.py", ".git", True),
        ("docs\nREADME.md", "docs", False),
        ("a\n!a", "a", False),
        ("*\n!a*/x", "ab/c", True),
    ],
)
def test_a_folder_is_searched_only_when_an_exception_may_lie_in_it(
    text: str, directory: str, expected: bool
) -> None:
    assert IgnoreRules.parse([text]).may_hold_exceptions(directory) is expected


@pytest.mark.parametrize(
    "pattern", ["[", "a[", "[]a]", "[-x]", "[x-]", "[a-b-c]", "[^]", "[z-a]", "\\", "!", "!/"]
)
def test_a_malformed_pattern_is_refused_with_its_line(pattern: str) -> None:
    with pytest.raises(InvalidEnvironmentFile) as caught:
        IgnoreRules.parse([f"# fine\n{pattern}"])
    assert caught.value.where == "line 2 of the ignore file"
    assert caught.value.fix


# --- against other matchers

NAMES = st.text("ab.", min_size=1, max_size=3).filter(lambda name: name.strip("."))
PATHS = st.lists(NAMES, min_size=1, max_size=4).map("/".join)
LINES = st.tuples(
    st.sampled_from(["", "!"]), st.lists(st.text("ab.*?", min_size=1, max_size=3), min_size=1, max_size=3)
)


def plain(line: tuple[str, list[str]]) -> bool:
    return all("**" not in part and part.strip(".") for part in line[1])


@given(st.lists(LINES.filter(plain), max_size=5), PATHS)
def test_without_double_stars_docker_for_python_agrees(lines: list[tuple[str, list[str]]], path: str) -> None:
    # It differs in what is not drawn here: it ignores case, takes `[!a]` for a negation, lets backslashes and malformed
    # brackets stand for themselves, and looks at one parent only, so that `**/x` misses `a/x/b`.
    patterns = [bang + "/".join(parts) for bang, parts in lines]
    assert IgnoreRules.parse(["\n".join(patterns)]).excludes(path) == PatternMatcher(patterns).matches(path)  # type: ignore[arg-type]


def matches(parts: list[str], names: list[str]) -> bool:
    """Part by part; where `**` is a part of its own that is all there is to it."""
    if not parts:
        return not names
    if parts[0] == "**":
        if len(parts) == 1:
            return bool(names)
        return any(matches(parts[1:], names[skipped:]) for skipped in range(len(names) + 1))
    return bool(names) and fnmatchcase(names[0], parts[0]) and matches(parts[1:], names[1:])


def matches_or_parent(parts: list[str], path: str) -> bool:
    names = path.split("/")
    return any(matches(parts, names[: depth + 1]) for depth in range(len(names)))


PARTS = st.one_of(
    st.just("**"), st.text("ab.*?", min_size=1, max_size=3).filter(lambda part: plain(("", [part])))
)


@given(st.lists(st.tuples(st.booleans(), st.lists(PARTS, min_size=1, max_size=4)), max_size=5), PATHS)
def test_with_double_stars_a_matcher_part_by_part_agrees(
    lines: list[tuple[bool, list[str]]], path: str
) -> None:
    expected = False
    for keeps, parts in lines:
        if matches_or_parent(parts, path):
            expected = not keeps
    text = "\n".join(("!" if keeps else "") + "/".join(parts) for keeps, parts in lines)
    assert IgnoreRules.parse([text]).excludes(path) == expected


@given(st.lists(st.text("ab/*?!.[]^-\\ ", max_size=8), max_size=4), PATHS)
def test_what_is_kept_in_a_folder_that_stays_out_is_always_searched_for(lines: list[str], path: str) -> None:
    try:
        rules = IgnoreRules.parse(["\n".join(lines)])
    except InvalidEnvironmentFile:
        return
    for parent in (path[:end] for end, character in enumerate(path) if character == "/"):
        if rules.excludes(parent) and not rules.excludes(path):
            assert rules.may_hold_exceptions(parent)


@given(st.text(), st.text())
def test_any_text_is_either_rules_or_refused(text: str, path: str) -> None:
    try:
        rules = IgnoreRules.parse([text])
    except InvalidEnvironmentFile:
        return
    assert rules.excludes(path) in (True, False)
