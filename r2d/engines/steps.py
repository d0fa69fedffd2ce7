"""What an engine says while it builds, turned into events: each step starts once and ends once."""

import codecs
import re
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from r2d.engines.buildkit_trace import Log, Progress, Status, Vertex
from r2d.events import Emit, StepFailed, StepFinished, StepOutput, StepStarted, Transferred

TAIL_LINES = 20
_LONGEST_LINE = 8192  # characters of one line kept for the tail; a progress bar may never end its line
_CANCELED = "context canceled"
_SOURCE = re.compile(r"FROM |\[internal\] load (?:remote )?build context")
_STOPPED = "stopped, because another step failed"


@dataclass(frozen=True)
class FailedStep:
    """The step that ended a build, and the engine's own words about it."""

    name: str
    instruction: str
    problem: str
    tail: tuple[str, ...]


@dataclass
class _Step:
    """A step that has started and not ended."""

    id: str
    name: str
    instruction: str
    seconds: float = 0.0
    cached: bool = False
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=TAIL_LINES))
    unended: str = ""

    def remember(self, text: str) -> None:
        *ended, self.unended = re.split(r"\r\n|\r|\n", self.unended + text)
        self.lines.extend(line[:_LONGEST_LINE] for line in ended if line)
        self.unended = self.unended[-_LONGEST_LINE:]

    def tail(self) -> tuple[str, ...]:
        return (*self.lines, self.unended)[-TAIL_LINES:] if self.unended else tuple(self.lines)


def _ended(step: _Step) -> StepFinished:
    return StepFinished(step=step.id, name=step.name, seconds=step.seconds, cached=step.cached)


class BuildkitSteps:
    """Follows a BuildKit trace."""

    def __init__(self, emit: Emit, step_name: Callable[[str], str]) -> None:
        self._emit = emit
        self._step_name = step_name
        self._steps: dict[str, _Step] = {}
        self._running: set[str] = set()
        # BuildKit visits a source (a base image, the context) twice: to learn its key, then to fetch it. Such a step
        # rests after the first visit, and has ended when a step that needs it starts.
        self._resting: set[str] = set()
        self._decoders: dict[str, codecs.IncrementalDecoder] = {}
        self.failed: FailedStep | None = None

    def take(self, status: Status) -> None:
        """Emit what this message adds."""
        speaking = {log.vertex for log in status.logs}
        for vertex in status.vertexes:
            self._take_start(vertex)
            if vertex.digest not in speaking:
                self._take_end(vertex)
        for log in status.logs:
            self._take_log(log)
        for progress in status.progress:
            self._take_progress(progress)
        for vertex in status.vertexes:
            self._take_end(vertex)

    def end(self) -> None:
        """The engine has said all: sources that rest have ended."""
        for digest in sorted(self._resting):
            self._emit(_ended(self._steps[digest]))
        self._resting.clear()

    def give_up(self) -> None:
        """The engine gave up: what still runs has been stopped."""
        self.end()
        for digest in sorted(self._running):
            self._fail(self._steps[digest], _CANCELED)
        self._running.clear()

    def _take_start(self, vertex: Vertex) -> None:
        if vertex.started is None:
            return
        for digest in vertex.inputs:
            if digest in self._resting:
                self._resting.remove(digest)
                self._emit(_ended(self._steps[digest]))
        if vertex.digest not in self._steps:
            instruction = instruction_of(vertex.name)
            step = _Step(vertex.digest, self._step_name(instruction), instruction)
            self._steps[vertex.digest] = step
            self._running.add(vertex.digest)
            self._emit(StepStarted(step=step.id, name=step.name))
        elif vertex.digest in self._resting:
            self._resting.remove(vertex.digest)
            self._running.add(vertex.digest)

    def _take_log(self, log: Log) -> None:
        decoder = self._decoders.setdefault(log.vertex, codecs.getincrementaldecoder("utf-8")("replace"))
        text = decoder.decode(log.message)
        step = self._steps.get(log.vertex)
        if step and text:
            step.remember(text)
            self._emit(StepOutput(step=step.id, text=text))

    def _take_progress(self, progress: Progress) -> None:
        if progress.current:
            total = progress.total or None
            self._emit(Transferred(what=progress.id, done=progress.current, total=total))

    def _take_end(self, vertex: Vertex) -> None:
        if vertex.digest not in self._running or (vertex.completed is None and not vertex.error):
            return
        self._running.remove(vertex.digest)
        step = self._steps[vertex.digest]
        if vertex.started is not None and vertex.completed is not None:
            step.seconds += max(0.0, vertex.completed - vertex.started)
        step.cached = vertex.cached
        if vertex.error:
            self._fail(step, vertex.error)
        elif _SOURCE.match(step.instruction):
            self._resting.add(vertex.digest)
        else:
            self._emit(_ended(step))

    def _fail(self, step: _Step, error: str) -> None:
        was_stopped = _CANCELED in error
        problem = _STOPPED if was_stopped else error
        if not was_stopped and self.failed is None:
            self.failed = FailedStep(step.name, step.instruction, error, step.tail())
        self._emit(
            StepFailed(step=step.id, name=step.name, seconds=step.seconds, problem=problem, tail=step.tail())
        )


class ClassicSteps:
    """Follows the classic build stream as Podman's service writes it: each line of its own is a record of its own."""

    _HEAD = re.compile(
        r"(?:\[(?P<stage>\d+)/\d+\] )?STEP (?P<number>\d+)/(?P<count>\d+): (?P<instruction>.*)", re.S
    )
    _CACHED = re.compile(r"--> Using cache [0-9a-f]+")
    _LAYER = re.compile(r"--> [0-9a-f]{8,64}")
    _COMMIT = re.compile(r"COMMIT \S+")

    def __init__(
        self, emit: Emit, step_name: Callable[[str], str], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._emit = emit
        self._step_name = step_name
        self._clock = clock
        self._step: _Step | None = None
        self._is_last = False
        self._started = 0.0
        self.failed: FailedStep | None = None

    def take(self, text: str) -> None:
        """Emit what this record of the stream adds."""
        line = text.removesuffix("\n")
        if head := self._HEAD.fullmatch(line):
            self._start(head)
        elif self._CACHED.fullmatch(line) and self._step:
            self._step.cached = True
        elif self._COMMIT.fullmatch(line) and self._is_last:
            self.end()
        elif self._step and not self._LAYER.fullmatch(line):
            self._step.remember(text)
            self._emit(StepOutput(step=self._step.id, text=text))

    def end(self) -> None:
        """The step that runs has ended well."""
        if self._step:
            self._step.seconds = self._clock() - self._started
            self._emit(_ended(self._step))
            self._step = None

    def fail(self, problem: str) -> None:
        """The engine gave up in the step that runs."""
        if self._step is None:
            return
        step, self._step = self._step, None
        self.failed = FailedStep(step.name, step.instruction, problem, step.tail())
        seconds = self._clock() - self._started
        self._emit(
            StepFailed(step=step.id, name=step.name, seconds=seconds, problem=problem, tail=step.tail())
        )

    def _start(self, head: re.Match[str]) -> None:
        self.end()
        name = self._step_name(head["instruction"])
        self._step = _Step(f"{head['stage'] or 1}.{head['number']}", name, head["instruction"])
        self._is_last = head["number"] == head["count"]
        self._started = self._clock()
        self._emit(StepStarted(step=self._step.id, name=name))


def instruction_of(vertex_name: str) -> str:
    """The instruction alone: BuildKit writes "[stage-1 2/4] RUN make" where the file says "RUN make"."""
    return re.sub(r"^\[(?:[^\]]+ )?\d+/\d+\] ", "", vertex_name)
