"""HydroShare: resources come as bags, which the service packs when they are first asked for."""

import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult

from r2d.errors import ContentDamaged, TemporaryFailure
from r2d.events import Emit, Warned
from r2d.sources.http import REAL_TIME, Clock, Downloaded, Web
from r2d.sources.protocol import Checkout, Network, Source
from r2d.sources.records.services import Services

_HOSTS = ("hydroshare.org", "www.hydroshare.org")
_RESOURCE = re.compile(r"/resource/([0-9a-f]{32})(?:/.*)?", re.IGNORECASE)
_PAUSE = 10.0
_LONGEST_WAIT = 600.0


def recognise(parts: SplitResult, services: Services) -> Source | None:
    """A resource of HydroShare."""
    found = _RESOURCE.fullmatch(parts.path) if parts.hostname in _HOSTS else None
    return HydroShareResource(found[1].lower(), services.hydroshare) if found else None


class _NotPackedYet(Exception):
    """The service answers with a page instead of the bag."""


@dataclass(frozen=True)
class HydroShareResource:
    """A resource of HydroShare."""

    id: str
    site: str
    clock: Clock = field(default=REAL_TIME, repr=False)

    @property
    def name(self) -> str:
        """The resource's page."""
        return f"{self.site}/resource/{self.id}"

    def fetch(self, into: Path, network: Network, emit: Emit) -> Checkout:
        """The contents of the resource, out of its bag."""
        from r2d.sources.unpack import unpack

        web = Web(network, emit, self.clock)
        modified = _modified(web.document(f"{self.site}/hsapi/resource/{self.id}/scimeta/elements/"))
        with tempfile.TemporaryDirectory(prefix=".r2d-bag-", dir=into) as folder:
            bag = self._bag(web, Path(folder, "bag.zip"))
            opened = Path(folder, "bag")
            opened.mkdir()
            unpack(bag.path, opened, emit=emit, name=f"the bag of {self.name}")
            contents = opened / "data" / "contents"
            if not contents.is_dir():
                raise ContentDamaged(
                    "The bag holds no data/contents.",
                    where=self.name,
                    fix="Try again later, or open its page.",
                )
            for child in sorted(contents.iterdir()):
                child.rename(into / child.name)
        content = f"sha256:{bag.sha256}" if modified is None else f"{self.id}.v{modified}"
        return Checkout(into, source=self.name, content=content, temporary=True)

    def _bag(self, web: Web, to: Path) -> Downloaded:
        """The bag, once it is packed."""
        started, told = self.clock.elapsed(), False
        while True:
            try:
                return web.download(
                    f"{self.site}/django_s3/download/bags/{self.id}.zip",
                    to,
                    what=f"the bag of {self.id}",
                    refuse=_packed,
                )
            except _NotPackedYet:
                if self.clock.elapsed() - started >= _LONGEST_WAIT:
                    raise TemporaryFailure(
                        f"HydroShare has not packed the resource in {_LONGEST_WAIT:.0f} s.",
                        where=self.name,
                        fix="Try again later.",
                    ) from None
                if not told:
                    web.emit(Warned(f"HydroShare packs the resource first; asking every {_PAUSE:.0f} s."))
                    told = True
                self.clock.pause(_PAUSE)


def _packed(headers: Mapping[str, str]) -> Exception | None:
    kind = headers.get("Content-Type", "").partition(";")[0].strip().lower()
    return _NotPackedYet() if kind in ("text/html", "application/json") else None


def _modified(elements: Any) -> int | None:
    """When the resource was changed last, in seconds since 1970."""
    dates = elements.get("dates") if isinstance(elements, dict) else None
    for date in dates if isinstance(dates, list) else ():
        if isinstance(date, dict) and date.get("type") == "modified":
            try:
                moment = datetime.fromisoformat(str(date.get("start_date")))
            except ValueError:
                return None
            return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
    return None
