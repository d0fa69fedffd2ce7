"""From what an engine says to events: each step starts once and ends once."""

import json
from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest

from r2d.engines.buildkit_trace import Log, Progress, Status, Vertex, read_status
from r2d.engines.steps import BuildkitSteps, ClassicSteps, instruction_of
from r2d.events import Event, StepFailed, StepFinished, StepOutput, StepStarted, Transferred

CAPTURED = Path(__file__).parents[1] / "engines/captured"


def captured(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (CAPTURED / name).read_text().splitlines()]


def same(name: str) -> str:
    return name


def told_by_buildkit(name: str) -> list[Event]:
    events: list[Event] = []
    steps = BuildkitSteps(events.append, same)
    for record in captured(name):
        if record.get("id") == "moby.buildkit.trace":
            steps.take(read_status(b64decode(record["aux"])))
    steps.end()
    return events


def told_by_podman(name: str) -> list[Event]:
    events: list[Event] = []
    steps = ClassicSteps(events.append, same, clock=lambda: 0.0)
    for record in captured(name):
        if "error" in record:
            steps.fail(record["error"])
        else:
            steps.take(record.get("stream", ""))
    return events


def vertex(digest: str, **fields: Any) -> Vertex:
    defaults: dict[str, Any] = {
        "inputs": (),
        "cached": False,
        "started": None,
        "completed": None,
        "error": "",
    }
    return Vertex(digest=digest, **{"name": f"[1/2] RUN {digest}", **defaults, **fields})


def status(*vertexes: Vertex, logs: tuple[Log, ...] = (), progress: tuple[Progress, ...] = ()) -> Status:
    return Status(vertexes, progress, logs)


@pytest.mark.parametrize("name", ["buildkit_ok.json", "buildkit_cached.json"])
def test_each_step_of_a_real_trace_starts_once_and_ends_once(name: str) -> None:
    events = told_by_buildkit(name)
    started = [event.step for event in events if isinstance(event, StepStarted)]
    finished = [event.step for event in events if isinstance(event, StepFinished)]
    assert sorted(started) == sorted(finished)
    assert len(started) == len(set(started))


def test_a_step_from_the_cache_is_told_as_such() -> None:
    cached = {
        e.name: e.cached for e in told_by_buildkit("buildkit_cached.json") if isinstance(e, StepFinished)
    }
    assert cached["RUN echo hi; echo err >&2"]
    assert cached["COPY a.txt /"]


def test_a_source_that_is_visited_twice_is_one_step_with_both_times() -> None:
    events: list[Event] = []
    steps = BuildkitSteps(events.append, same)
    base = {"name": "[1/2] FROM debian"}
    steps.take(status(vertex("a", **base, started=1.0, completed=2.0)))
    steps.take(status(vertex("a", **base, started=5.0)))
    steps.take(status(vertex("a", **base, started=5.0, completed=8.0)))
    steps.take(status(vertex("b", inputs=("a",), started=8.0)))
    assert events == [
        StepStarted("a", "FROM debian"),
        StepFinished("a", "FROM debian", 4.0, False),
        StepStarted("b", "RUN b"),
    ]


def test_a_letter_that_arrives_in_two_pieces_is_whole() -> None:
    events: list[Event] = []
    steps = BuildkitSteps(events.append, same)
    steps.take(status(vertex("a", started=1.0), logs=(Log("a", b"caf\xc3"),)))
    steps.take(status(logs=(Log("a", b"\xa9\n"),)))
    assert [event.text for event in events if isinstance(event, StepOutput)] == ["caf", "é\n"]


def test_a_failed_step_keeps_its_last_twenty_lines() -> None:
    events: list[Event] = []
    steps = BuildkitSteps(events.append, same)
    lines = "".join(f"{number}\n" for number in range(40)) + "the end"
    steps.take(status(vertex("a", started=1.0), logs=(Log("a", lines.encode()),)))
    steps.take(status(vertex("a", started=1.0, completed=2.0, error="exit code: 1")))
    failed = events[-1]
    assert isinstance(failed, StepFailed)
    assert len(failed.tail) == 20
    assert failed.tail[-2:] == ("39", "the end")
    assert steps.failed is not None
    assert steps.failed.instruction == "RUN a"


def test_a_step_that_was_stopped_for_another_is_not_the_one_that_failed() -> None:
    events: list[Event] = []
    steps = BuildkitSteps(events.append, same)
    steps.take(status(vertex("a", started=1.0), vertex("b", started=1.0), vertex("c", started=1.0)))
    steps.take(status(vertex("a", started=1.0, completed=2.0, error="context canceled")))
    steps.take(status(vertex("b", started=1.0, completed=2.0, error="exit code: 1")))
    steps.give_up()
    assert steps.failed is not None
    assert steps.failed.name == "RUN b"
    assert {event.step for event in events if isinstance(event, StepFailed)} == {"a", "b", "c"}


def test_bytes_that_move_are_told() -> None:
    events: list[Event] = []
    BuildkitSteps(events.append, same).take(
        status(progress=(Progress("layer", "a", 7, 0), Progress("l", "a", 0, 9)))
    )
    assert events == [Transferred("layer", 7, None)]


@pytest.mark.parametrize(
    ("vertex_name", "instruction"),
    [
        ("[2/4] RUN make", "RUN make"),
        ("[stage-1 2/4] RUN [ -d x ]", "RUN [ -d x ]"),
        ("[linux/arm64 build 12/14] COPY a b", "COPY a b"),
        ("[internal] load remote build context", "[internal] load remote build context"),
        ("exporting to image", "exporting to image"),
    ],
)
def test_the_instruction_is_what_the_file_says(vertex_name: str, instruction: str) -> None:
    assert instruction_of(vertex_name) == instruction


def test_podmans_lines_become_the_same_events() -> None:
    events = told_by_podman("podman_ok.json")
    assert [(e.step, e.name) for e in events if isinstance(e, StepStarted)][:2] == [
        ("1.1", "FROM r2d-captest:base"),
        ("1.2", "RUN echo hi; echo err >&2"),
    ]
    assert "".join(e.text for e in events if isinstance(e, StepOutput)) == "err\nhi\nhello"
    assert len([e for e in events if isinstance(e, StepFinished)]) == 4


def test_podmans_cache_is_told() -> None:
    finished = [event for event in told_by_podman("podman_cached.json") if isinstance(event, StepFinished)]
    assert [event.cached for event in finished] == [False, True, True, True]


def test_podmans_failure_is_told_with_the_last_lines() -> None:
    failed = told_by_podman("podman_fail.json")[-1]
    assert isinstance(failed, StepFailed)
    assert failed.tail == ("hi", "1", "2", "3")


def test_a_multi_stage_build_of_podman_keeps_its_steps_apart() -> None:
    events: list[Event] = []
    steps = ClassicSteps(events.append, lambda name: name.lower(), clock=lambda: 1.0)
    for line in (
        "[1/2] STEP 1/1: FROM a\n",
        "[2/2] STEP 1/2: FROM b\n",
        "[2/2] STEP 2/2: RUN x\n",
        "COMMIT y\n",
        "z\n",
    ):
        steps.take(line)
    assert [(e.step, e.name) for e in events if isinstance(e, StepStarted)] == [
        ("1.1", "from a"),
        ("2.1", "from b"),
        ("2.2", "run x"),
    ]
    assert not [event for event in events if isinstance(event, StepOutput)]
