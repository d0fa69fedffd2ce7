"""A scripted run, drawn as plain lines and as JSON: exactly these, in exactly this order."""

import io
import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r2d.errors import WrongUsage
from r2d.events import (
    BuildStarted,
    ContainerExited,
    ContainerOutput,
    ContainerStarted,
    ContainerStopping,
    Decided,
    Detected,
    Event,
    Failed,
    Fetched,
    Fetching,
    IgnoredFile,
    ImageBuilt,
    ImageReused,
    ServerReady,
    StepFailed,
    StepFinished,
    StepOutput,
    StepStarted,
    Transferred,
    Warned,
)
from r2d.report import Kind, open_report
from r2d.report.figures import duration, size, whole_duration
from r2d.report.json_lines import event_name, json_line

SUCCESS: tuple[Event, ...] = (
    Fetching("https://example.org/repo"),
    Transferred("objects", 20_000_000, 20_000_000),
    Fetched("https://example.org/repo", "/tmp/checkout", "8f3c2a1"),
    Detected("python", "requirements.txt lists packages"),
    Decided("Python", "3.12", "r2d's default"),
    IgnoredFile("setup.py", "binder/ is in force"),
    Warned("The base is old.", "Refresh it."),
    BuildStarted("r2d-repo", "Docker 20.10.24"),
    StepFinished("sha256:a", "Set up the user", 0.0, cached=True),
    StepStarted("sha256:b", "Install packages"),
    StepOutput("sha256:b", "\x1b[32mCollecting"),
    StepOutput("sha256:b", "\x1b[0m numpy\n 10%\r100%"),
    StepFinished("sha256:b", "Install packages", 83.2, cached=False),
    ImageBuilt("r2d-repo", "sha256:0123456789abcdef", 812_345_678, 97.4),
    ContainerStarted("deadbeefdeadbeef", "r2d-repo"),
    ContainerOutput("Serving note", "stderr"),
    ContainerOutput("books\nlast words", "stderr"),
    ServerReady("http://127.0.0.1:49153/lab?token=abc", 1.24),
    ContainerStopping("Ctrl-C"),
    ContainerExited(0),
)
FAILURE: tuple[Event, ...] = (
    BuildStarted("r2d-repo", "Docker 20.10.24"),
    StepStarted("sha256:b", "Install packages"),
    StepOutput("sha256:b", "Collecting nunpy\nno such thing"),
    StepFailed(
        "sha256:b", "Install packages", 3.2, "exit code 1", ("Collecting nunpy", "no such thing\x1b[0m")
    ),
    Failed("No version of nunpy exists.\nSorry.", "requirements.txt:3", "Did you mean numpy?", 30),
)


def clock_of_halves() -> Any:
    """A clock on which half a second passes between two looks."""
    seconds = iter(half / 2 for half in range(10_000))
    return lambda: next(seconds)


def drawn(
    kind: Kind, events: Iterable[Event], *, color: bool = False, quiet: bool = False, clock: Any = lambda: 0.0
) -> str:
    stream = io.StringIO()
    with open_report(
        kind,
        stream=stream,
        is_terminal=False,
        width=None,
        color=color,
        verbose=False,
        quiet=quiet,
        log=None,
        clock=clock,
    ) as report:
        for event in events:
            report.emit(event)
    return stream.getvalue()


def test_plain_lines_tell_a_run_from_the_fetch_to_the_end() -> None:
    assert drawn("auto", SUCCESS) == (
        "[  0.0s] Fetching https://example.org/repo\n"
        "[  0.0s] objects: 20.0 MB of 20.0 MB\n"
        "[  0.0s] Fetched https://example.org/repo (8f3c2a1)\n"
        "[  0.0s] Found python: requirements.txt lists packages\n"
        "[  0.0s] Chose Python = 3.12: r2d's default\n"
        "[  0.0s] Ignored setup.py: binder/ is in force\n"
        "[  0.0s] Warning: The base is old.\n"
        "[  0.0s]   To do: Refresh it.\n"
        "[  0.0s] Building r2d-repo with Docker 20.10.24\n"
        "[  0.0s] #1 cached: Set up the user\n"
        "[  0.0s] #2 Install packages\n"
        "[  0.0s] #2 | Collecting numpy\n"
        "[  0.0s] #2 | 100%\n"
        "[  0.0s] #2 done in 1m 23s\n"
        "[  0.0s] Built r2d-repo (0123456789ab): 812 MB, in 1m 37s, 1 of 2 steps cached\n"
        "[  0.0s] Slowest: Install packages 1m 23s\n"
        "[  0.0s] Started container deadbeefdead from r2d-repo\n"
        "[  0.0s] | Serving notebooks\n"
        "[  0.0s] Ready after 1.2s: http://127.0.0.1:49153/lab?token=abc\n"
        "[  0.0s] Stopping the container: Ctrl-C\n"
        "[  0.0s] | last words\n"
        "[  0.0s] The container ended with exit code 0\n"
    )


def test_plain_lines_end_with_what_failed_and_what_to_do() -> None:
    assert drawn("plain", FAILURE) == (
        "[  0.0s] Building r2d-repo with Docker 20.10.24\n"
        "[  0.0s] #1 Install packages\n"
        "[  0.0s] #1 | Collecting nunpy\n"
        "[  0.0s] #1 | no such thing\n"
        "[  0.0s] #1 failed after 3.2s: Install packages\n"
        "[  0.0s]\n"
        "[  0.0s] Step #1 failed: Install packages\n"
        "[  0.0s] Its last lines:\n"
        "[  0.0s]   Collecting nunpy\n"
        "[  0.0s]   no such thing\n"
        "[  0.0s]\n"
        "[  0.0s] Error: No version of nunpy exists.\n"
        "[  0.0s]        Sorry.\n"
        "[  0.0s] Where: requirements.txt:3\n"
        "[  0.0s] To do: Did you mean numpy?\n"
        "[  0.0s] Exit code 30\n"
    )


def test_a_failed_step_is_told_at_the_end_even_when_nothing_follows_it() -> None:
    assert drawn("plain", FAILURE[:-1]).endswith("[  0.0s]   no such thing\n[  0.0s] Error: exit code 1\n")


def test_quiet_plain_lines_hold_output_back_until_a_step_fails() -> None:
    assert "numpy" not in drawn("plain", SUCCESS, quiet=True)
    assert drawn("plain", FAILURE, quiet=True).count("Collecting nunpy") == 1


def test_plain_lines_carry_the_seconds_since_the_report_began() -> None:
    text = drawn(
        "plain",
        [StepStarted("a", "one"), StepFinished("a", "one", 0.1, cached=True)],
        clock=clock_of_halves(),
    )
    assert text == "[  0.5s] #1 one\n[  1.0s] #1 cached\n"


def test_a_long_transfer_is_told_every_five_seconds_and_at_its_end() -> None:
    events = [Transferred("layers", position, 99) for position in range(100)]
    told = drawn("plain", events, clock=clock_of_halves()).splitlines()
    assert len(told) < 25
    assert told[-1].endswith("layers: 99 B of 99 B")


def test_colours_are_only_ours_and_only_on_request() -> None:
    assert "\x1b" not in drawn("plain", SUCCESS + FAILURE)
    assert "\x1b[1;31mError: No version of nunpy exists.\x1b[0m\n" in drawn("plain", FAILURE, color=True)


def test_json_lines_name_every_event_and_all_its_fields() -> None:
    lines = [json.loads(line) for line in drawn("json", SUCCESS + FAILURE, clock=lambda: 0.0).splitlines()]
    assert lines[2] == {
        "event": "fetched",
        "source": "https://example.org/repo",
        "folder": "/tmp/checkout",
        "content": "8f3c2a1",
        "elapsed": 0.0,
    }
    assert lines[-2] == {
        "event": "step_failed",
        "step": "sha256:b",
        "name": "Install packages",
        "seconds": 3.2,
        "problem": "exit code 1",
        "tail": ["Collecting nunpy", "no such thing\x1b[0m"],
        "elapsed": 0.0,
    }


def test_a_json_line_is_exactly_this() -> None:
    assert json_line(StepOutput("a", "é\x1b\x7f\n\ud800"), elapsed=12.3) == (
        '{"event": "step_output", "step": "a", "text": "\\u00e9\\u001b\\u007f\\n\\ud800", "elapsed": 12.3}'
    )


@given(st.text(st.characters()))
def test_a_json_line_is_printable_ascii_and_loses_nothing(text: str) -> None:
    line = json_line(ContainerOutput(text, "stdout"), elapsed=0.0)
    assert line.isascii()
    assert line.isprintable()
    assert json.loads(line)["text"] == text


def test_the_names_of_events_in_json_stay_as_they_are() -> None:
    every = (*SUCCESS, *FAILURE, ImageReused("r2d-repo", "sha256:0123"))
    assert {type(event) for event in every} == set(get_args(Event))
    assert {type(event).__name__: event_name(event) for event in every} == {
        "Fetching": "fetching",
        "Fetched": "fetched",
        "Transferred": "transferred",
        "Detected": "detected",
        "Decided": "decided",
        "IgnoredFile": "ignored_file",
        "Warned": "warned",
        "BuildStarted": "build_started",
        "StepStarted": "step_started",
        "StepOutput": "step_output",
        "StepFinished": "step_finished",
        "StepFailed": "step_failed",
        "ImageBuilt": "image_built",
        "ImageReused": "image_reused",
        "ContainerStarted": "container_started",
        "ContainerOutput": "container_output",
        "ServerReady": "server_ready",
        "ContainerStopping": "container_stopping",
        "ContainerExited": "container_exited",
        "Failed": "failed",
    }


@pytest.mark.parametrize("kind", ["live", "plain", "json"])
def test_the_log_says_everything_whatever_the_screen_shows(kind: Kind, tmp_path: Path) -> None:
    log = tmp_path / "logs" / "build.log"
    with open_report(
        kind,
        stream=io.StringIO(),
        is_terminal=False,
        width=40,
        color=True,
        verbose=False,
        quiet=True,
        log=log,
        clock=lambda: 0.0,
    ) as report:
        for event in SUCCESS:
            report.emit(event)
    assert log.read_text(encoding="utf-8") == drawn("plain", SUCCESS)


def test_a_log_that_cannot_be_written_is_refused_at_once(tmp_path: Path) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.touch()
    report = open_report(
        "plain",
        stream=io.StringIO(),
        is_terminal=False,
        width=None,
        color=False,
        verbose=False,
        log=in_the_way / "build.log",
    )
    with pytest.raises(WrongUsage) as caught, report:
        pass
    assert caught.value.where == str(in_the_way / "build.log")


def test_a_disk_that_fills_up_under_the_log_does_not_end_the_build() -> None:
    stream = io.StringIO()
    with open_report(
        "plain",
        stream=stream,
        is_terminal=False,
        width=None,
        color=False,
        verbose=False,
        log=Path("/dev/full"),
    ) as report:
        report.emit(Fetching("one"))
        report.emit(Fetching("two"))
    assert stream.getvalue().count("The log /dev/full ends here: No space left on device.") == 1
    assert "Fetching two" in stream.getvalue()


def test_rich_is_imported_for_the_live_view_only() -> None:
    program = (
        "import io, sys; from r2d.report import open_report\n"
        "for kind in ('plain', 'json'):\n"
        "    open_report(kind, stream=io.StringIO(), is_terminal=False, width=None, color=False,"
        " verbose=False, log=None)\n"
        "sys.exit('rich' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize(
    ("count", "shown"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.00 kB"), (99_960, "100 kB"), (999_600, "1.00 MB"), (812_345_678, "812 MB"),
     (1_234_000_000, "1.23 GB"), (5 * 10**15, "5000 TB")],
)  # fmt: skip
def test_sizes_have_three_digits(count: int, shown: str) -> None:
    assert size(count) == shown


def test_times_are_as_precise_as_one_cares() -> None:
    assert [duration(seconds) for seconds in (0, 8.24, 59.94, 59.96, 84, 3720)] == [
        "0.0s", "8.2s", "59.9s", "1m 00s", "1m 24s", "1h 02m",
    ]  # fmt: skip
    assert whole_duration(8.4) == "8s"
