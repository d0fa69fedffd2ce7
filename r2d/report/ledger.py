"""What is known of the steps of a build: their numbers, how many were cached, which took longest."""

from dataclasses import dataclass


@dataclass(frozen=True)
class DoneStep:
    """A step that ended well."""

    name: str
    seconds: float
    cached: bool


class Ledger:
    """Counts the steps of one build."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._done: dict[str, DoneStep] = {}

    def number(self, step: str) -> int:
        """A step's number: 1 for the first one heard of."""
        return self._numbers.setdefault(step, len(self._numbers) + 1)

    def finished(self, step: str, done: DoneStep) -> None:
        """Note how a step ended."""
        self.number(step)
        self._done[step] = done

    def cached_of_all(self) -> str:
        """How many steps were cached, as a phrase; empty when there were no steps."""
        if not self._done:
            return ""
        cached = sum(done.cached for done in self._done.values())
        return f"{cached} of {len(self._done)} steps cached"

    def slowest(self, *, count: int = 3, at_least_seconds: float = 1.0) -> list[DoneStep]:
        """The steps that took longest, longest first; what was cached or quick is not worth telling."""
        slow = [done for done in self._done.values() if not done.cached and done.seconds >= at_least_seconds]
        return sorted(slow, key=lambda done: done.seconds, reverse=True)[:count]
