"""Nothing a build prints can steer a terminal."""

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from r2d.report.line_buffer import LineBuffer
from r2d.report.neutral import neutral_lines, neutral_words, neutralise

HOSTILE = st.text(
    alphabet=st.one_of(
        st.characters(),
        st.sampled_from("\x1b[]P\\^_X;0123m?hJ\x07\x08\r\n\t\x9b\x9d\x90\x9c\x9f\u202e\u200b\ud800"),
    )
)


def is_harmless(text: str) -> bool:
    return all(
        character == "\t" or unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Zl", "Zp")
        for character in text
    )


@given(HOSTILE)
@example("\x1b\x1b[31m[31m")
@example("\x9b\x1b]0;x\x07")
def test_no_control_character_but_the_tab_survives(text: str) -> None:
    assert is_harmless(neutralise(text))
    assert is_harmless(neutral_words(text))
    assert all(is_harmless(line) for line in neutral_lines(text))


@given(st.lists(HOSTILE))
def test_no_control_character_survives_however_the_output_is_cut(pieces: list[str]) -> None:
    lines = LineBuffer()
    for piece in pieces:
        assert all(is_harmless(line) for line in lines.feed(piece))
        assert is_harmless(lines.current())
    assert all(is_harmless(line) for line in lines.flush())


@given(HOSTILE, st.data())
def test_where_the_output_is_cut_does_not_change_its_lines(text: str, data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(text)))
    whole, pieces = LineBuffer(), LineBuffer()
    expected = whole.feed(text) + whole.flush()
    assert pieces.feed(text[:cut]) + pieces.feed(text[cut:]) + pieces.flush() == expected


@given(HOSTILE)
def test_neutralising_twice_changes_nothing(text: str) -> None:
    assert neutralise(neutralise(text)) == neutralise(text)


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("plain [bold]text[/bold]\tübergroß 你好", "plain [bold]text[/bold]\tübergroß 你好"),
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x9b31mred", "red"),
        ("\x1b[2J\x1b[Htop", "top"),
        ("\x1b]0;title\x07after", "after"),
        ("\x1b]8;;http://example.org\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1b]52;c;ZXZpbA==\x07after", "after"),
        ("\x1bP1$qm\x1b\\after", "after"),
        ("\x1b_Ga=T;AAAA\x1b\\after", "after"),
        ("\x1b(B\x1b7saved\x1b8", "saved"),
        ("\x1b]52;c;never ends", "\\x1b]52;c;never ends"),
        ("cut\x1b[3", "cut\\x1b[3"),
        ("bell\x07 and back\x08", "bell and back"),
        ("\x00\x7f\x85", "\\x00\\x7f\\x85"),
        ("abc\u202edcba\u2066\u200b\ufeff", "abc\\u202edcba\\u2066\\u200b\\ufeff"),
        ("half \ud800", "half \\ud800"),
        (" 10%\r 50%\r100%", "100%"),
        (" 10%\r100%\r", "100%"),
        ("ends as on Windows\r", "ends as on Windows"),
    ],
)
def test_a_line_is_shown_as_a_reader_may_see_it(raw: str, shown: str) -> None:
    assert neutralise(raw) == shown


def test_an_escape_sequence_cut_in_two_is_one_sequence() -> None:
    lines = LineBuffer()
    assert lines.feed("before \x1b[3") == []
    assert lines.feed("1mafter\x1b[0m\nnext") == ["before after"]
    assert lines.current() == "next"
    assert lines.flush() == ["next"]
    assert lines.flush() == []


def test_a_line_end_cut_in_two_is_one_line_end() -> None:
    lines = LineBuffer()
    assert lines.feed("done\r") + lines.feed("\nnext\n") == ["done", "next"]


def test_a_line_without_an_end_does_not_fill_the_memory() -> None:
    lines = LineBuffer()
    printed = "".join("".join(lines.feed("x" * 50_000)) for _ in range(10))
    assert len(printed) > 400_000
    assert len(lines.current()) < 100_000
    assert len(printed + lines.current()) == 500_000


def test_an_endless_progress_line_keeps_its_last_state() -> None:
    lines = LineBuffer()
    for percent in range(101):
        assert lines.feed(f"{percent}%{'.' * 2000}\r") == []
    assert lines.current().startswith("100%")
