"""Plain lines for logs: one fact per line, with the seconds since the report began; nothing is ever redrawn."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal, Self, TextIO, assert_never

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
from r2d.report.figures import duration, short_id, size
from r2d.report.ledger import DoneStep, Ledger
from r2d.report.line_buffer import LineBuffer
from r2d.report.neutral import neutral_lines, neutral_words

LAST_LINES = 20
_SECONDS_BETWEEN_TRANSFER_LINES = 5.0

Tone = Literal["usual", "faint", "good", "caution", "bad"]
_SGR: dict[Tone, str] = {"usual": "", "faint": "2", "good": "1;32", "caution": "33", "bad": "1;31"}


@dataclass(frozen=True)
class Line:
    """One line to write, and how it is meant."""

    text: str
    tone: Tone = "usual"


@dataclass(frozen=True)
class StepFailure:
    """The step that ended the build, kept to be told again at the very end."""

    number: int
    name: str
    problem: str
    tail: tuple[str, ...]


@dataclass
class _Transfer:
    """How far a transfer was when it was last told."""

    told_at: float
    complete: bool = False


@dataclass
class _Told:
    """What has to be remembered between events."""

    steps: Ledger = field(default_factory=Ledger)
    started: set[str] = field(default_factory=set)
    step_lines: defaultdict[str, LineBuffer] = field(default_factory=lambda: defaultdict(LineBuffer))
    container_lines: defaultdict[str, LineBuffer] = field(default_factory=lambda: defaultdict(LineBuffer))
    transfers: dict[str, _Transfer] = field(default_factory=dict)
    failure: StepFailure | None = None


class Plain:
    """Writes each event as lines, at once."""

    def __init__(self, stream: TextIO, *, color: bool, quiet: bool, clock: Callable[[], float]) -> None:
        self._stream = stream
        self._color = color
        self._quiet = quiet
        self._clock = clock
        self._began = clock()
        self._told = _Told()

    def emit(self, event: Event) -> None:
        """Write one event."""
        self._write(self._lines(event))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self._write(self._remainder())

    def _elapsed(self) -> float:
        return self._clock() - self._began

    def _write(self, lines: Iterator[Line]) -> None:
        stamp = f"[{self._elapsed():5.1f}s] "
        for line in lines:
            code = _SGR[line.tone] if self._color else ""
            painted = f"\x1b[{code}m{line.text}\x1b[0m" if code and line.text else line.text
            self._stream.write((stamp + painted).rstrip(" ") + "\n")
        self._stream.flush()

    def _lines(self, event: Event) -> Iterator[Line]:
        match event:
            case Fetching():
                yield Line(f"Fetching {neutral_words(event.source)}")
            case Fetched():
                content = f" ({neutral_words(event.content)})" if event.content else ""
                yield Line(f"Fetched {neutral_words(event.source)}{content}")
            case Transferred():
                yield from self._transferred(event)
            case Detected():
                yield Line(f"Found {neutral_words(event.buildpack)}: {neutral_words(event.because)}")
            case Decided():
                choice = f"{neutral_words(event.what)} = {neutral_words(event.value)}"
                yield Line(f"Chose {choice}: {neutral_words(event.because)}")
            case IgnoredFile():
                reason = neutral_words(event.because)
                yield Line(f"Ignored {neutral_words(event.file)}: {reason}", "caution")
            case Warned():
                yield from _labelled("Warning: ", event.problem, "caution")
                yield from _labelled("  To do: ", event.fix, "caution")
            case BuildStarted():
                self._told.steps = Ledger()
                yield Line(f"Building {neutral_words(event.image)} with {neutral_words(event.engine)}")
            case StepStarted():
                self._told.started.add(event.step)
                yield Line(f"#{self._told.steps.number(event.step)} {neutral_words(event.name)}")
            case StepOutput():
                yield from self._step_output(event)
            case StepFinished():
                yield from self._step_finished(event)
            case StepFailed():
                yield from self._step_failed(event)
            case ImageBuilt():
                yield from self._image_built(event)
            case ImageReused():
                image = f"{neutral_words(event.name)} ({short_id(neutral_words(event.id))})"
                yield Line(f"Reused {image}: nothing has changed, nothing was built", "good")
            case ContainerStarted():
                container = short_id(neutral_words(event.id))
                is_id = event.image.startswith("sha256:")
                image = short_id(event.image) if is_id else neutral_words(event.image)
                yield Line(f"Started container {container} from {image}")
            case ContainerOutput():
                for line in self._told.container_lines[event.stream].feed(event.text):
                    yield Line(f"| {line}")
            case ServerReady():
                yield Line(f"Ready after {duration(event.seconds)}: {neutral_words(event.url)}", "good")
            case ContainerStopping():
                yield Line(f"Stopping the container: {neutral_words(event.because)}")
            case ContainerExited():
                yield from self._container_remainder()
                tone: Tone = "caution" if event.exit_code else "usual"
                yield Line(f"The container ended with exit code {event.exit_code}", tone)
            case Failed():
                yield from self._failed(event)
            case _:
                assert_never(event)

    def _transferred(self, event: Transferred) -> Iterator[Line]:
        now = self._elapsed()
        complete = event.total is not None and event.done >= event.total
        transfer = self._told.transfers.setdefault(event.what, _Transfer(told_at=now))
        if transfer.complete and complete:
            return
        if complete or now - transfer.told_at >= _SECONDS_BETWEEN_TRANSFER_LINES:
            self._told.transfers[event.what] = _Transfer(told_at=now, complete=complete)
            of_total = f" of {size(event.total)}" if event.total is not None else ""
            yield Line(f"{neutral_words(event.what)}: {size(event.done)}{of_total}", "faint")

    def _step_output(self, event: StepOutput) -> Iterator[Line]:
        number = self._told.steps.number(event.step)
        lines = self._told.step_lines[event.step].feed(event.text)
        yield from self._printed_by(number, lines)

    def _printed_by(self, number: int, lines: list[str]) -> Iterator[Line]:
        if not self._quiet:
            for line in lines:
                yield Line(f"#{number} | {line}", "faint")

    def _rest_of(self, step: str) -> Iterator[Line]:
        rest = self._told.step_lines.pop(step, LineBuffer()).flush()
        yield from self._printed_by(self._told.steps.number(step), rest)

    def _step_finished(self, event: StepFinished) -> Iterator[Line]:
        yield from self._rest_of(event.step)
        number = self._told.steps.number(event.step)
        name = neutral_words(event.name)
        self._told.steps.finished(event.step, DoneStep(name, event.seconds, event.cached))
        outcome = "cached" if event.cached else f"done in {duration(event.seconds)}"
        # A cached step may end without ever having begun: then its name has not been told.
        yield Line(f"#{number} {outcome}" + ("" if event.step in self._told.started else f": {name}"))

    def _step_failed(self, event: StepFailed) -> Iterator[Line]:
        yield from self._rest_of(event.step)
        failure = failure_of(event, number=self._told.steps.number(event.step))
        self._told.failure = failure
        yield Line(f"#{failure.number} failed after {duration(event.seconds)}: {failure.name}", "bad")

    def _image_built(self, event: ImageBuilt) -> Iterator[Line]:
        what = f"{neutral_words(event.name)} ({short_id(neutral_words(event.id))})"
        facts = [size(event.size), f"in {duration(event.seconds)}", self._told.steps.cached_of_all()]
        yield Line(f"Built {what}: {', '.join(fact for fact in facts if fact)}", "good")
        if slowest := self._told.steps.slowest():
            steps = "; ".join(f"{done.name} {duration(done.seconds)}" for done in slowest)
            yield Line(f"Slowest: {steps}")

    def _failed(self, event: Failed) -> Iterator[Line]:
        yield from self._remaining_output()
        if failure := self._told.failure:
            self._told.failure = None
            yield from _last_lines(failure)
        yield Line("")
        yield from _labelled("Error: ", event.problem, "bad")
        yield from _labelled("Where: ", event.where, "usual")
        yield from _labelled("To do: ", event.fix, "usual")
        yield Line(f"Exit code {event.exit_code}", "faint")

    def _remainder(self) -> Iterator[Line]:
        yield from self._remaining_output()
        if failure := self._told.failure:
            self._told.failure = None
            yield from _last_lines(failure)
            yield from _labelled("Error: ", failure.problem, "bad")

    def _remaining_output(self) -> Iterator[Line]:
        for step in tuple(self._told.step_lines):
            yield from self._rest_of(step)
        yield from self._container_remainder()

    def _container_remainder(self) -> Iterator[Line]:
        for lines in self._told.container_lines.values():
            for line in lines.flush():
                yield Line(f"| {line}")


def failure_of(event: StepFailed, *, number: int) -> StepFailure:
    """The failed step with its last lines neutralised."""
    tail = tuple(line for raw in event.tail for line in neutral_lines(raw))
    return StepFailure(number, neutral_words(event.name), event.problem, tail[-LAST_LINES:])


def _last_lines(failure: StepFailure) -> Iterator[Line]:
    yield Line("")
    yield Line(f"Step #{failure.number} failed: {failure.name}", "bad")
    if failure.tail:
        yield Line("Its last lines:")
    for line in failure.tail:
        yield Line(f"  {line}")


def _labelled(label: str, text: str | None, tone: Tone) -> Iterator[Line]:
    """A text of one or more lines, those after the first under the first one's beginning."""
    if text is None:
        return
    for position, line in enumerate(neutral_lines(text)):
        yield Line((label if position == 0 else " " * len(label)) + line, tone)
