"""Renderers of events: a live view for a terminal, plain lines for logs, JSON lines for programs."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal, Protocol, Self, TextIO, assert_never

from r2d.events import Event

Kind = Literal["auto", "live", "plain", "json"]


class Report(Protocol):
    """Draws events while it is entered."""

    def emit(self, event: Event) -> None:
        """Draw one event; may be called from any thread."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_exc: object) -> None: ...


def open_report(
    kind: Kind,
    *,
    stream: TextIO,
    is_terminal: bool,
    width: int | None,
    color: bool,
    verbose: bool,
    log: Path | None,
    quiet: bool = False,
    clock: Callable[[], float] = time.monotonic,
) -> Report:
    """A report of the given kind on `stream`, and in full in the file `log` as well.

    `width` fixes the columns of the live view; None follows the terminal when its size changes. `verbose` keeps all
    build output in the live view; plain lines have it anyway. `quiet` leaves out what successful steps print.
    """
    from r2d.report.shared import Shared

    if kind == "auto":
        kind = "live" if is_terminal else "plain"
    screen = _screen(kind, stream=stream, width=width, color=color, verbose=verbose, quiet=quiet, clock=clock)
    if log is None:
        return Shared(screen, log=None)
    from r2d.report.log import LogFile

    return Shared(screen, log=LogFile(log, clock=clock))


def _screen(
    kind: Literal["live", "plain", "json"],
    *,
    stream: TextIO,
    width: int | None,
    color: bool,
    verbose: bool,
    quiet: bool,
    clock: Callable[[], float],
) -> Report:
    # Each renderer is imported when it is wanted: rich alone would double the time of a start.
    match kind:
        case "live":
            from r2d.report.live import Live

            return Live(stream, width=width, color=color, verbose=verbose, quiet=quiet, clock=clock)
        case "plain":
            from r2d.report.plain import Plain

            return Plain(stream, color=color, quiet=quiet, clock=clock)
        case "json":
            from r2d.report.json_lines import JsonLines

            return JsonLines(stream, clock=clock)
        case _:
            assert_never(kind)
