"""Lines out of pieces: output arrives cut anywhere, also in the middle of an escape sequence."""

from r2d.report.neutral import neutralise

# A line this long is cut rather than kept in memory while it grows.
_LONGEST = 64 * 1024


class LineBuffer:
    """Joins the pieces of one stream and hands out neutralised lines."""

    def __init__(self) -> None:
        self._pending = ""

    def feed(self, text: str) -> list[str]:
        """The lines that this piece completes."""
        *complete, pending = (self._pending + text).split("\n")
        if len(pending) > _LONGEST:
            pending = _without_overwritten(pending)
        while len(pending) > _LONGEST:
            complete.append(pending[:_LONGEST])
            pending = pending[_LONGEST:]
        self._pending = pending
        return [neutralise(line) for line in complete]

    def current(self) -> str:
        """The line that has begun and not ended, as it looks now."""
        return neutralise(self._pending)

    def flush(self) -> list[str]:
        """The last line, when it never ended."""
        pending, self._pending = self._pending, ""
        return [neutralise(pending)] if pending else []


def _without_overwritten(pending: str) -> str:
    """The last segment of a progress line, with its final carriage return: a line feed may still follow it."""
    bare = pending.rstrip("\r")
    return bare.rpartition("\r")[2] + ("\r" if bare != pending else "")
