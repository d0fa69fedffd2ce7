"""The live view of a terminal: what is done stays and scrolls, what runs is redrawn below it.

The area at the bottom is drawn here and not by `rich.live`: when a terminal gets narrower it folds the lines that
stand on it, and only who knows their lengths can take them all away again.
"""

from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from math import ceil
from threading import Event as Signal
from threading import RLock, Thread
from typing import Self, TextIO, assert_never

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.control import Control
from rich.segment import ControlType
from rich.text import Text

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
from r2d.report.figures import duration, short_id, size, whole_duration
from r2d.report.ledger import DoneStep, Ledger
from r2d.report.line_buffer import LineBuffer
from r2d.report.neutral import neutral_lines, neutral_words
from r2d.report.plain import LAST_LINES

_REDRAWS_PER_SECOND = 8
_LINES_OF_RUNNING_STEP = 6
_RUNNING_STEPS_SHOWN = 4
# Wider than this the eye loses the way from a name to its time.
_WIDEST = 100


@dataclass(frozen=True)
class Glyphs:
    """The signs the view is drawn with."""

    done: str
    failed: str
    stopped: str
    caution: str
    fact: str
    more: str
    spinner: str


_UNICODE = Glyphs("✓", "✗", "◦", "!", "·", "…", "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏")
_ASCII = Glyphs("+", "x", "-", "!", "-", "~", "-\\|/")


@dataclass
class _Activity:
    """Something that goes on, and what it printed last."""

    name: str
    since: float
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=LAST_LINES))
    unfinished: LineBuffer = field(default_factory=LineBuffer)

    def last_lines(self, count: int) -> list[str]:
        """The last lines worth looking at, the one being printed included."""
        current = self.unfinished.current()
        seen = [line for line in (*self.lines, current) if line.strip()]
        return seen[-count:]


class Live:
    """Draws events on a terminal, a few times a second at most."""

    def __init__(
        self,
        stream: TextIO,
        *,
        width: int | None,
        color: bool,
        verbose: bool,
        quiet: bool,
        clock: Callable[[], float],
    ) -> None:
        self._console = Console(
            file=stream,
            force_terminal=True,
            width=width,
            color_system="standard" if color else None,
            highlight=False,
            markup=False,
            emoji=False,
            # What the environment says of colours and columns is the command line's to decide.
            _environ={},
        )
        self._glyphs = _UNICODE if self._console.encoding.startswith("utf") else _ASCII
        self._verbose = verbose
        self._quiet = quiet
        self._clock = clock
        self._began = clock()

        self._for_good: list[Text] = []
        self._area_widths: list[int] = []
        self._fetch: _Activity | None = None
        self._transfers: dict[str, Transferred] = {}
        self._running: dict[str, _Activity] = {}
        self._latest: str | None = None
        self._cached = 0
        self._steps = Ledger()
        self._untold_problem: str | None = None
        self._container_lines: defaultdict[str, LineBuffer] = defaultdict(LineBuffer)

        self._lock = RLock()
        self._ended = Signal()
        self._ticker = Thread(target=self._redraw_until_ended, name="r2d-live-view", daemon=True)

    def emit(self, event: Event) -> None:
        """Take note of one event; most are drawn with the next redraw."""
        with self._lock:
            if not isinstance(event, Transferred | StepOutput):
                self._transfers.clear()
            self._note(event)
            if not isinstance(event, Transferred | StepStarted | StepOutput | StepFinished):
                self._draw()

    def __enter__(self) -> Self:
        self._console.show_cursor(False)
        self._ticker.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._ended.set()
        if self._ticker.is_alive():
            self._ticker.join()
        with self._lock:
            self._end()
            self._draw()
            self._console.show_cursor(True)

    def _redraw_until_ended(self) -> None:
        while not self._ended.wait(1 / _REDRAWS_PER_SECOND):
            with self._lock:
                try:
                    self._draw()
                except (OSError, ValueError):
                    # The terminal went away; the next event meets the same error where it can be handled.
                    return

    # --- what an event changes

    def _note(self, event: Event) -> None:
        match event:
            case Fetching():
                self._fetch = _Activity(f"Fetching {neutral_words(event.source)}", self._clock())
            case Fetched():
                self._fetch = None
                content = f"({short_id(neutral_words(event.content))})" if event.content else ""
                self._say(self._glyphs.done, f"Fetched {neutral_words(event.source)}", content, style="green")
            case Transferred():
                self._transfers[event.what] = event
            case Detected():
                self._say(self._glyphs.fact, neutral_words(event.buildpack), neutral_words(event.because))
            case Decided():
                choice = f"{neutral_words(event.what)} {neutral_words(event.value)}"
                self._say(self._glyphs.fact, choice, neutral_words(event.because))
            case IgnoredFile():
                file = f"{neutral_words(event.file)} is ignored"
                self._say(self._glyphs.caution, file, neutral_words(event.because), style="yellow")
            case Warned():
                self._warned(event)
            case BuildStarted():
                self._steps = Ledger()
                self._keep(Text())
                image, engine = neutral_words(event.image), neutral_words(event.engine)
                self._keep(Text.assemble("Building ", (image, "bold"), (f" with {engine}", "dim")))
            case StepStarted():
                self._steps.number(event.step)
                self._running[event.step] = _Activity(neutral_words(event.name), self._clock())
                self._latest = event.step
            case StepOutput():
                self._step_output(event)
            case StepFinished():
                self._step_finished(event)
            case StepFailed():
                self._step_failed(event)
            case ImageBuilt():
                self._image_built(event)
            case ImageReused():
                what = f"Reused {neutral_words(event.name)}"
                self._say(self._glyphs.done, what, "nothing has changed, nothing was built", style="green")
            case ContainerStarted():
                self._fold_cached()
                self._running.clear()
                container = short_id(neutral_words(event.id))
                self._say(self._glyphs.fact, f"Container {container} runs", "")
                self._keep(Text())
            case ContainerOutput():
                for line in self._container_lines[event.stream].feed(event.text):
                    self._keep(Text(line))
            case ServerReady():
                self._server_ready(event)
            case ContainerStopping():
                self._say(self._glyphs.fact, "Stopping the container", neutral_words(event.because))
            case ContainerExited():
                self._container_exited(event)
            case Failed():
                self._failed(event)
            case _:
                assert_never(event)

    def _warned(self, event: Warned) -> None:
        first, *others = neutral_lines(event.problem)
        self._say(self._glyphs.caution, first, "", style="yellow")
        for line in (*others, *(neutral_lines(event.fix) if event.fix else ())):
            self._keep_prose("  ", line, style="dim")

    def _step_output(self, event: StepOutput) -> None:
        activity = self._running.setdefault(event.step, _Activity("", self._clock()))
        self._latest = event.step
        lines = activity.unfinished.feed(event.text)
        activity.lines.extend(lines)
        self._keep_output(lines)

    def _keep_output(self, lines: list[str]) -> None:
        if lines and self._verbose and not self._quiet:
            self._fold_cached()
            for line in lines:
                self._keep(Text(f"    {line}", "dim"))

    def _step_finished(self, event: StepFinished) -> None:
        activity = self._running.pop(event.step, None)
        name = neutral_words(event.name)
        self._steps.finished(event.step, DoneStep(name, event.seconds, event.cached))
        if event.cached:
            self._cached += 1
            return
        self._fold_cached()
        if activity is not None:
            self._keep_output(activity.unfinished.flush())
        self._keep(self._with_time(self._glyphs.done, name, duration(event.seconds), style="green"))

    def _step_failed(self, event: StepFailed) -> None:
        self._fold_cached()
        activity = self._running.pop(event.step, None)
        self._running.clear()
        name = neutral_words(event.name)
        self._keep(self._with_time(self._glyphs.failed, name, duration(event.seconds), style="bold red"))
        tail = [line for raw in event.tail for line in neutral_lines(raw)]
        if not tail and activity is not None:
            tail = activity.last_lines(LAST_LINES)
        for line in tail[-LAST_LINES:]:
            self._keep(Text(f"    {line}"))
        self._untold_problem = event.problem

    def _image_built(self, event: ImageBuilt) -> None:
        self._fold_cached()
        self._running.clear()
        facts = [size(event.size), f"in {duration(event.seconds)}", self._steps.cached_of_all()]
        self._keep(Text())
        figures = "  ".join(fact for fact in facts if fact)
        self._keep(Text.assemble("Built ", (neutral_words(event.name), "bold"), "  ", (figures, "dim")))
        if len(slowest := self._steps.slowest()) > 1:
            self._keep(Text("Slowest", "dim"))
            for done in slowest:
                self._keep(self._with_time(" ", done.name, duration(done.seconds), style="dim"))

    def _server_ready(self, event: ServerReady) -> None:
        self._keep(Text())
        heading = ("The server is ready", "bold green")
        self._keep(Text.assemble("  ", heading, (f"  after {duration(event.seconds)}", "dim")))
        self._keep(Text())
        # Never folded by us: a terminal's own folding keeps an address whole for copying.
        self._keep(Text(f"      {neutral_words(event.url)}", "bold"))
        self._keep(Text())
        self._keep(Text("  Ctrl-C stops it.", "dim"))
        self._keep(Text())

    def _container_exited(self, event: ContainerExited) -> None:
        self._keep_rest_of_container()
        if event.exit_code:
            problem = f"The container ended with exit code {event.exit_code}"
            self._say(self._glyphs.caution, problem, "", style="yellow")
        else:
            self._say(self._glyphs.fact, "The container ended", "")

    def _failed(self, event: Failed) -> None:
        self._keep_rest_of_container()
        self._keep_unfinished()
        self._untold_problem = None
        self._keep(Text())
        self._keep_labelled("Error  ", event.problem, style="bold red")
        self._keep_labelled("Where  ", event.where, style="")
        self._keep_labelled("To do  ", event.fix, style="")

    def _end(self) -> None:
        self._transfers.clear()
        self._keep_rest_of_container()
        self._keep_unfinished()
        if self._untold_problem is not None:
            self._keep_labelled("Error  ", self._untold_problem, style="bold red")

    def _keep_rest_of_container(self) -> None:
        for lines in self._container_lines.values():
            for line in lines.flush():
                self._keep(Text(line))

    def _keep_unfinished(self) -> None:
        """What still ran when it all ended, so that one sees where it stopped."""
        self._fold_cached()
        now = self._clock()
        unfinished = [*([self._fetch] if self._fetch else []), *self._running.values()]
        for activity in unfinished:
            stopped_after = f"stopped after {whole_duration(now - activity.since)}"
            self._keep(self._with_time(self._glyphs.stopped, activity.name, stopped_after, style="dim"))
        self._fetch = None
        self._running.clear()

    # --- lines that stay

    def _keep(self, line: Text) -> None:
        self._for_good.append(line)

    def _keep_prose(self, prefix: str, text: str, *, style: str) -> None:
        """Keep a sentence, folded between words and hung below its prefix."""
        room = max(20, self._width() - cell_len(prefix))
        for position, line in enumerate(Text(text, style).wrap(self._console, room)):
            line.rstrip()
            self._keep(Text.assemble(prefix if position == 0 else " " * cell_len(prefix), line))

    def _keep_labelled(self, label: str, text: str | None, *, style: str) -> None:
        if text is None:
            return
        for position, line in enumerate(neutral_lines(text)):
            self._keep_prose(label if position == 0 else " " * len(label), line, style=style)

    def _say(self, glyph: str, what: str, because: str, *, style: str = "dim") -> None:
        """Keep a fact and, fainter, its reason."""
        text = Text(what)
        if because:
            text.append(f"  {because}", "dim")
        for position, line in enumerate(text.wrap(self._console, max(20, self._width() - 2))):
            line.rstrip()
            self._keep(Text.assemble((f"{glyph} ", style) if position == 0 else "  ", line))

    def _fold_cached(self) -> None:
        if self._cached:
            self._keep(self._cached_line())
            self._cached = 0

    def _cached_line(self) -> Text:
        steps = "1 step" if self._cached == 1 else f"{self._cached} steps"
        return Text.assemble((f"{self._glyphs.done} ", "green"), (f"{steps} cached", "dim"))

    # --- the area

    def _area(self) -> Iterator[Text]:
        now = self._clock()
        if self._cached:
            yield self._cached_line()
        if self._fetch is not None:
            yield self._going_on(self._fetch, now)
        for step, activity in islice(self._running.items(), _RUNNING_STEPS_SHOWN):
            yield self._going_on(activity, now)
            if step == self._latest and not self._quiet:
                yield from self._what_it_prints(activity)
        if (hidden := len(self._running) - _RUNNING_STEPS_SHOWN) > 0:
            yield Text(f"  and {hidden} more", "dim")
        for transfer in self._transfers.values():
            yield Text(self._fitted(f"  {_progress(transfer)}", self._width()), "dim")

    def _what_it_prints(self, activity: _Activity) -> Iterator[Text]:
        # In the verbose view the finished lines stand above already.
        lines = (
            [activity.unfinished.current()] if self._verbose else activity.last_lines(_LINES_OF_RUNNING_STEP)
        )
        for line in lines:
            yield Text(self._fitted(f"    {line.expandtabs(8)}", self._width()), "dim")

    def _going_on(self, activity: _Activity, now: float) -> Text:
        frame = int((now - self._began) * _REDRAWS_PER_SECOND) % len(self._glyphs.spinner)
        elapsed = whole_duration(now - activity.since)
        return self._with_time(self._glyphs.spinner[frame], activity.name, elapsed, style="cyan")

    def _with_time(self, glyph: str, name: str, time: str, *, style: str) -> Text:
        """A name on the left, shortened where it must be, and a time on the right."""
        room = max(8, self._width() - 2 - 2 - max(6, len(time)))
        shown = self._fitted(name, room)
        gap = " " * (self._width() - 2 - cell_len(shown) - len(time))
        return Text.assemble((f"{glyph} ", style), shown, gap, (time, "dim"))

    def _fitted(self, text: str, room: int) -> str:
        """The text in so many columns at most."""
        if cell_len(text) <= room:
            return text
        return set_cell_size(text, max(0, room - 1)) + self._glyphs.more

    def _width(self) -> int:
        # The last column stays empty: a terminal would go to the next line there.
        return max(1, min(self._console.width - 1, _WIDEST))

    def _draw(self) -> None:
        area = list(self._area())[: max(1, self._console.height - 2)]
        if not (self._for_good or area or self._area_widths):
            return
        with self._console as console:
            self._erase_area()
            for line in (*self._for_good, *area):
                console.print(line, soft_wrap=True)
        self._for_good.clear()
        self._area_widths = [line.cell_len for line in area]

    def _erase_area(self) -> None:
        columns = max(1, self._console.width)
        rows = sum(max(1, ceil(width / columns)) for width in self._area_widths)
        one_row = ((ControlType.CURSOR_UP, 1), (ControlType.ERASE_IN_LINE, 2))
        # The first row is the cursor's own: a Ctrl-C leaves its ^C there.
        erase = ((ControlType.ERASE_IN_LINE, 2), *(one_row * rows))
        self._console.control(Control(ControlType.CARRIAGE_RETURN, *erase))


def _progress(transfer: Transferred) -> str:
    what = neutral_words(transfer.what)
    if not transfer.total:
        return f"{what}  {size(transfer.done)}"
    percent = min(100, 100 * transfer.done // transfer.total)
    return f"{what}  {size(transfer.done)} of {size(transfer.total)}  {percent}%"
