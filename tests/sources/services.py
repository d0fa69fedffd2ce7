"""Fixtures of the tests of records and archives; a module uses them by `pytest_plugins`."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sources.record_world import World
from tests.sources.service_servers import Service, serving


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """One server for all services, and an empty folder."""
    into = tmp_path / "into"
    into.mkdir()
    with serving(Service()) as service:
        yield World(service, into)
