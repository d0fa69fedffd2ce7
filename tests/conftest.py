"""What lets a test read like a story."""

import itertools
import signal
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from r2d.events import Event
from r2d.repository import Repository
from r2d.testing import repository_with

RepoWith = Callable[[Mapping[str, str | bytes]], Repository]


class Heard(list[Event]):
    """The events that were emitted, in order; itself an `emit`."""

    def __call__(self, event: Event) -> None:
        self.append(event)

    def of(self, *kinds: type) -> list[Event]:
        """Those of these kinds."""
        return [event for event in self if isinstance(event, kinds)]


# Started in the background of a script, a process is deaf to signals, and so are all that it starts.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGQUIT, signal.SIG_DFL)
signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture
def repo_with(tmp_path: Path) -> RepoWith:
    """Makes a repository of a mapping from names to contents; each call makes another one."""
    numbers = itertools.count()

    def make(files: Mapping[str, str | bytes]) -> Repository:
        folder = tmp_path / f"repository-{next(numbers)}"
        folder.mkdir()
        return repository_with(folder, files)

    return make


@pytest.fixture
def heard() -> Heard:
    """Collects events."""
    return Heard()
