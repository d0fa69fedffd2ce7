"""The live view: what stays on the terminal, what is redrawn, and that it leaves nothing behind."""

import io
import re
import threading
from collections.abc import Iterable

import pytest
from rich.console import Console

from r2d.events import (
    BuildStarted,
    ContainerOutput,
    ContainerStarted,
    Decided,
    Event,
    Failed,
    Fetching,
    ImageBuilt,
    ServerReady,
    StepFailed,
    StepFinished,
    StepOutput,
    StepStarted,
    Transferred,
    Warned,
)
from r2d.report import open_report
from r2d.report.live import Live

CURSOR = re.compile(r"\x1b\[\?25[lh]|\x1b\[\d*[AK]|\r")
ERASED_ROW = "\x1b[1A\x1b[2K"


def shown(events: Iterable[Event], *, width: int = 80, color: bool = False, verbose: bool = False) -> str:
    """What stays on the terminal when all is over: no event here leaves the area drawn."""
    stream = io.StringIO()
    with open_report(
        "live",
        stream=stream,
        is_terminal=True,
        width=width,
        color=color,
        verbose=verbose,
        log=None,
        clock=lambda: 0.0,
    ) as report:
        for event in events:
            report.emit(event)
    return CURSOR.sub("", stream.getvalue())


class HandDrawn:
    """A live view without its ticking thread, so that each redraw is asked for."""

    def __init__(self, *, width: int = 80, verbose: bool = False, quiet: bool = False) -> None:
        self.stream = io.StringIO()
        self.now = 0.0
        self.live = Live(
            self.stream, width=width, color=False, verbose=verbose, quiet=quiet, clock=lambda: self.now
        )

    def draw(self, *events: Event) -> str:
        """What a redraw after these events writes."""
        for event in events:
            self.live.emit(event)
        self.stream.seek(0)
        self.stream.truncate()
        self.live._draw()
        return self.stream.getvalue()


def test_a_build_leaves_its_steps_their_times_and_a_summary() -> None:
    text = shown(
        [
            BuildStarted("r2d-repo", "Docker 20.10.24"),
            StepFinished("a", "one", 0, cached=True),
            StepFinished("b", "two", 0, cached=True),
            StepStarted("c", "Install packages"),
            StepOutput("c", "Collecting numpy\n"),
            StepFinished("c", "Install packages", 83.2, cached=False),
            StepStarted("d", "Copy the files"),
            StepFinished("d", "Copy the files", 2.0, cached=False),
            ImageBuilt("r2d-repo", "sha256:0123", 812_345_678, 97.4),
        ],
        width=60,
    )
    lines = [line.rstrip() for line in text.splitlines()]
    assert [line for line in lines if line] == [
        "Building r2d-repo with Docker 20.10.24",
        "✓ 2 steps cached",
        "✓ Install packages" + " " * 35 + "1m 23s",
        "✓ Copy the files" + " " * 39 + "2.0s",
        "Built r2d-repo  812 MB  in 1m 37s  2 of 4 steps cached",
        "Slowest",
        "  Install packages" + " " * 35 + "1m 23s",
        "  Copy the files" + " " * 39 + "2.0s",
    ]


def test_the_running_step_shows_its_time_and_its_last_six_lines() -> None:
    view = HandDrawn()
    view.draw(StepStarted("a", "Install packages"))
    view.now = 8.3
    lines = view.draw(
        *(StepOutput("a", f"line {number}\n") for number in range(10)), StepOutput("a", "half a l")
    )
    assert "Install packages" in lines
    assert "8s\n" in lines
    assert re.findall(r"    (.+)\n", lines)[-6:] == [
        "line 5",
        "line 6",
        "line 7",
        "line 8",
        "line 9",
        "half a l",
    ]
    assert "line 4" not in lines


def test_a_redraw_erases_exactly_the_rows_it_drew_before() -> None:
    view = HandDrawn()
    view.draw(StepStarted("a", "Install packages"), StepOutput("a", "one\ntwo\n"))
    assert view.draw().startswith(f"\r\x1b[2K{ERASED_ROW * 3}⠋ Install packages")


def test_a_redraw_in_a_narrower_terminal_erases_the_rows_into_which_it_folded() -> None:
    view = HandDrawn(width=80)
    view.draw(StepStarted("a", "Install packages"))
    view.live._console.width = 20
    assert view.draw().count(ERASED_ROW) == 4


def test_no_line_of_the_area_reaches_the_edge_of_the_terminal() -> None:
    view = HandDrawn(width=30)
    text = view.draw(StepStarted("a", "name " * 30), StepOutput("a", "\twide 你好" * 20 + "\n"))
    console = Console(width=30)
    lines = [line for line in CURSOR.sub("", text).splitlines() if line]
    assert len(lines) == 2
    assert all(console.measure(line).maximum < 30 for line in lines)


def test_many_lines_between_two_redraws_are_one_redraw() -> None:
    view = HandDrawn()
    view.live.emit(StepStarted("a", "Install packages"))
    for number in range(10_000):
        view.live.emit(StepOutput("a", f"line {number}\n"))
    assert view.stream.getvalue() == ""


def test_what_a_build_prints_cannot_steer_the_terminal_nor_rich() -> None:
    hostile = "\x1b[2J\x1b]52;c;ZXZpbA==\x07[bold red]text[/] :smile: \x9b5A\u202e\x07"
    text = shown(
        [
            Fetching(hostile),
            Decided(hostile, hostile, hostile),
            Warned(hostile, hostile),
            BuildStarted(hostile, hostile),
            StepStarted("a", hostile),
            StepOutput("a", hostile + "\n"),
            StepFailed("a", hostile, 1.0, hostile, (hostile,)),
            ContainerOutput(hostile + "\n", "stdout"),
            Failed(hostile, hostile, hostile, 30),
        ],
        verbose=True,
    )
    assert not set(text) & {chr(code) for code in (*range(10), *range(11, 32), *range(127, 160), 0x202E)}
    assert "[bold red]text[/] :smile: " in text


def test_a_failure_shows_the_last_twenty_lines_the_place_and_the_way_out() -> None:
    text = shown(
        [
            StepStarted("a", "Install packages"),
            StepFailed("a", "Install packages", 3.2, "exit code 1", tuple(f"line {n}" for n in range(30))),
            Failed("No version of nunpy exists.", "requirements.txt:3", "Did you mean numpy?", 30),
        ]
    )
    assert re.findall(r"line (\d+)", text) == [str(number) for number in range(10, 30)]
    assert text.endswith(
        "\nError  No version of nunpy exists.\nWhere  requirements.txt:3\nTo do  Did you mean numpy?\n"
    )


def test_an_address_is_never_folded() -> None:
    url = "http://127.0.0.1:49153/lab?token=" + "0123456789abcdef" * 8
    assert f"      {url}\n" in shown([ServerReady(url, 1.24)], width=40)


def test_container_output_passes_line_by_line_below_the_ended_area() -> None:
    view = HandDrawn()
    view.draw(StepStarted("a", "Install packages"), ContainerStarted("deadbeef", "r2d-repo"))
    view.live.emit(ContainerOutput("Serving note", "stderr"))
    assert view.stream.getvalue() == ""
    view.live.emit(ContainerOutput("books\n", "stderr"))
    assert CURSOR.sub("", view.stream.getvalue()) == "Serving notebooks\n"


def test_a_transfer_is_drawn_while_it_lasts() -> None:
    view = HandDrawn()
    assert "  objects  10.0 MB of 40.0 MB  25%\n" in view.draw(Transferred("objects", 10_000_000, 40_000_000))
    assert "objects" not in view.draw(StepStarted("a", "Install packages"))


def test_the_verbose_view_keeps_all_output() -> None:
    fifty_lines = "\n".join(f"line {number}" for number in range(50)) + "\n"
    events = (
        StepStarted("a", "one"),
        StepOutput("a", fifty_lines),
        StepFinished("a", "one", 1, cached=False),
    )
    assert len(re.findall(r"    line \d+\n", shown(events, verbose=True))) == 50
    assert "line" not in shown(events)


def test_an_interrupted_build_leaves_no_area_and_a_visible_cursor() -> None:
    stream = io.StringIO()

    def build_interrupted() -> None:
        with open_report(
            "live",
            stream=stream,
            is_terminal=True,
            width=60,
            color=False,
            verbose=False,
            log=None,
            clock=lambda: 0.0,
        ) as report:
            report.emit(StepStarted("a", "Install packages"))
            report.emit(Warned("drawn with the area"))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_interrupted()
    assert stream.getvalue().endswith(
        f"\r\x1b[2K{ERASED_ROW}◦ Install packages" + " " * 25 + "stopped after 0s\n\x1b[?25h"
    )
    assert "r2d-live-view" not in {thread.name for thread in threading.enumerate()}


def test_a_terminal_that_knows_no_unicode_gets_plain_signs() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    with open_report(
        "live", stream=stream, is_terminal=True, width=40, color=False, verbose=False, log=None
    ) as report:
        report.emit(StepFinished("a", "a name that is too long for forty columns", 1.0, cached=False))
    stream.flush()
    assert b"+ a name" in raw.getvalue()
