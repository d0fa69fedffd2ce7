"""One JSON object per line, for programs.

Every object has `event`, then the fields of that event as `r2d.events` names them, then `elapsed`: seconds since
the report began. The names of events are a contract and do not follow the names of classes:

    fetching  fetched  transferred  detected  decided  ignored_file  warned
    build_started  step_started  step_output  step_finished  step_failed  image_built  image_reused
    container_started  container_output  server_ready  container_stopping  container_exited  failed

A line is printable ASCII: whatever a build prints arrives whole, escaped as JSON escapes it. `step_output` and
`container_output` hold pieces as they came, which need not be lines.
"""

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Self, TextIO, assert_never

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


class JsonLines:
    """Writes each event as one line, at once."""

    def __init__(self, stream: TextIO, *, clock: Callable[[], float]) -> None:
        self._stream = stream
        self._clock = clock
        self._began = clock()

    def emit(self, event: Event) -> None:
        """Write one event."""
        elapsed = round(self._clock() - self._began, 3)
        self._stream.write(json_line(event, elapsed=elapsed) + "\n")
        self._stream.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        pass


def json_line(event: Event, *, elapsed: float) -> str:
    """An event as one line of printable ASCII."""
    line = json.dumps({"event": event_name(event), **asdict(event), "elapsed": elapsed})
    # The one control character that JSON lets stand as it is.
    return line.replace("\x7f", "\\u007f")


def event_name(event: Event) -> str:
    """What an event is called in JSON, whatever its class is called."""
    match event:
        case Fetching():
            return "fetching"
        case Fetched():
            return "fetched"
        case Transferred():
            return "transferred"
        case Detected():
            return "detected"
        case Decided():
            return "decided"
        case IgnoredFile():
            return "ignored_file"
        case Warned():
            return "warned"
        case BuildStarted():
            return "build_started"
        case StepStarted():
            return "step_started"
        case StepOutput():
            return "step_output"
        case StepFinished():
            return "step_finished"
        case StepFailed():
            return "step_failed"
        case ImageBuilt():
            return "image_built"
        case ImageReused():
            return "image_reused"
        case ContainerStarted():
            return "container_started"
        case ContainerOutput():
            return "container_output"
        case ServerReady():
            return "server_ready"
        case ContainerStopping():
            return "container_stopping"
        case ContainerExited():
            return "container_exited"
        case Failed():
            return "failed"
        case _:
            assert_never(event)
