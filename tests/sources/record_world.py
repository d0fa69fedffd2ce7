"""What tests of record services share: the web as they see it, and a clock that does not wait."""

import io
import zipfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from r2d.events import Event
from r2d.sources.http import Clock
from r2d.sources.protocol import Checkout, Network, Source
from r2d.sources.records import recognise
from tests.sources.service_servers import Service

ORIGINS = (
    "https://doi.org",
    "https://zenodo.org",
    "https://data.caltech.edu",
    "https://records.example.org",
    "https://api.figshare.com",
    "https://ndownloader.figshare.com",
    "https://dataverse.harvard.edu",
    "https://www.hydroshare.org",
    "https://portal.example.org",
    "https://api.osf.io",
    "https://files.osf.io",
    "https://archive.softwareheritage.org",
)


@dataclass
class StillClock:
    """Time that passes only when somebody waits."""

    now: float = 0.0
    pauses: list[float] = field(default_factory=list)

    def clock(self) -> Clock:
        """As the code wants it."""
        return Clock(pause=self._pause, elapsed=lambda: self.now, chance=lambda: 1.0)

    def _pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


@dataclass
class World:
    """The web as a test sees it."""

    service: Service
    into: Path
    time: StillClock = field(default_factory=StillClock)
    events: list[Event] = field(default_factory=list)

    @property
    def network(self) -> Network:
        """Every service leads to the one server."""
        return Network(
            timeout=5,
            endpoints=dict.fromkeys(ORIGINS, self.service.url),
            software_heritage_token="secret-token",
        )

    def fetch(self, text: str) -> Checkout:
        """Recognise and fetch."""
        source = recognise(text)
        assert source is not None
        return self.fetch_source(source)

    def fetch_source(self, source: Any) -> Checkout:
        """Fetch with time standing still."""
        timed: Source = replace(source, clock=self.time.clock())
        return timed.fetch(self.into, self.network, self.events.append)

    @property
    def files(self) -> dict[str, str]:
        """What arrived."""
        return {
            str(path.relative_to(self.into)): path.read_text()
            for path in sorted(self.into.rglob("*"))
            if path.is_file()
        }


def zipped(files: dict[str, str]) -> bytes:
    """A zip archive."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()
