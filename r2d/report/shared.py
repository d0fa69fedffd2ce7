"""One report for all threads, with a log beside the screen."""

from threading import RLock
from typing import Self

from r2d.events import Event, Warned
from r2d.report import Report
from r2d.report.log import LogFile


class Shared:
    """Passes each event to the screen and to the log, one at a time, whichever thread it comes from."""

    def __init__(self, screen: Report, *, log: LogFile | None) -> None:
        self._screen = screen
        self._log = log
        # Re-entrant: a signal handler may emit while the same thread is drawing.
        self._lock = RLock()

    def emit(self, event: Event) -> None:
        """Draw one event."""
        with self._lock:
            self._record(event)
            self._screen.emit(event)

    def _record(self, event: Event) -> None:
        if self._log is None:
            return
        try:
            self._log.emit(event)
        except OSError as error:
            # A full disk under the log is no reason to lose the build.
            path, self._log = self._log.path, None
            self._screen.emit(Warned(f"The log {path} ends here: {error.strerror or error}."))

    def __enter__(self) -> Self:
        if self._log is not None:
            self._log.__enter__()
        self._screen.__enter__()
        return self

    def __exit__(self, *exc: object) -> None:
        with self._lock:
            self._screen.__exit__(*exc)
            if self._log is not None:
                self._log.__exit__(*exc)
