"""The log file: everything that happened, as plain lines, nothing left out."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Self, TextIO

from r2d.errors import WrongUsage
from r2d.events import Event
from r2d.report.plain import Plain


class LogFile:
    """Writes the complete plain report to a file, made anew."""

    def __init__(self, path: Path, *, clock: Callable[[], float]) -> None:
        self.path = path
        self._clock = clock
        self._file: TextIO | None = None
        self._plain: Plain | None = None

    def emit(self, event: Event) -> None:
        """Write one event; before the log is entered there is nowhere to write it."""
        if self._plain is not None:
            self._plain.emit(event)

    def __enter__(self) -> Self:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("w", encoding="utf-8", newline="\n")
        except OSError as error:
            raise WrongUsage(
                f"The log cannot be written: {error.strerror or error}.",
                where=str(self.path),
                fix="Name a file in a folder you may write to.",
            ) from error
        self._plain = Plain(self._file, color=False, quiet=False, clock=self._clock)
        return self

    def __exit__(self, *exc: object) -> None:
        if self._file is None or self._plain is None:
            return
        # The disk may be full; at the end there is nobody left to tell.
        with suppress(OSError):
            self._plain.__exit__(*exc)
        with suppress(OSError):
            self._file.close()
