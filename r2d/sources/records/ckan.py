"""CKAN, the software of many open data portals: recognised by the form of its addresses."""

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, parse_qs, quote, unquote, urljoin, urlsplit

from r2d.errors import SourceNotFound
from r2d.events import Decided, Emit
from r2d.sources.http import REAL_TIME, Clock, Web
from r2d.sources.protocol import Checkout, Network, Source
from r2d.sources.records.files import RecordFile, bring, field_of
from r2d.sources.records.services import Services, site

_DATASET = re.compile(r"(?P<prefix>.*?)/dataset/(?P<dataset>[A-Za-z0-9_-]{2,200})(?P<rest>/.*)?")
_IN_HISTORY = re.compile(r"/(?:history|activity)/([A-Za-z0-9-]+)/?")


def recognise(parts: SplitResult, services: Services) -> Source | None:  # noqa: ARG001 one form for all kinds
    """A dataset of any portal; a repository whose address looks like one ends in .git."""
    found = _DATASET.fullmatch(unquote(parts.path))
    if found is None or parts.path.rstrip("/").endswith(".git"):
        return None
    in_history = _IN_HISTORY.fullmatch(found["rest"] or "")
    asked = parse_qs(parts.query).get("activity_id", [""])[0]
    return CkanDataset(
        portal=site(parts) + quote(found["prefix"]),
        dataset=found["dataset"],
        activity=asked or (in_history[1] if in_history else None),
    )


@dataclass(frozen=True)
class CkanDataset:
    """A dataset of a CKAN portal, now or as an activity left it."""

    portal: str
    dataset: str
    activity: str | None
    clock: Clock = field(default=REAL_TIME, repr=False)

    @property
    def name(self) -> str:
        """The page of the dataset."""
        history = f"?activity_id={self.activity}" if self.activity else ""
        return f"{self.portal}/dataset/{self.dataset}{history}"

    def fetch(self, into: Path, network: Network, emit: Emit) -> Checkout:
        """The resources of the dataset."""
        web = Web(network, emit, self.clock)
        dataset = self._dataset(web)
        version = _seconds(dataset.get("metadata_modified"))
        resources = field_of(dataset, "resources", of=self.name)
        bring(_files(resources, self.portal, of=self.name), into, web, record=self.name)
        if not self.activity:
            emit(Decided("version", f"v{version}", because="no activity is asked for; this is the latest"))
        content = f"{self.dataset}.v{version}" + (f".{self.activity}" if self.activity else "")
        return Checkout(into, source=self.name, content=content, temporary=True)

    def _dataset(self, web: Web) -> dict[str, Any]:
        action = (
            f"activity_data_show?id={quote(self.activity)}&object_type=package"
            if self.activity
            else f"package_show?id={quote(self.dataset)}"
        )
        answer = web.document_if_there(f"{self.portal}/api/3/action/{action}")
        if not isinstance(answer, dict) or not isinstance(answer.get("result"), dict):
            raise SourceNotFound(
                "There is no CKAN portal with this dataset.",
                where=self.name,
                fix="Check the address. If it is that of a git repository, add .git to it.",
            )
        result: dict[str, Any] = answer["result"]
        inner = result.get("package")
        return inner if isinstance(inner, dict) else result


def _files(resources: Any, portal: str, *, of: str) -> list[RecordFile]:
    files: list[RecordFile] = []
    taken: set[str] = set()
    for resource in resources:
        url = urljoin(f"{portal}/", str(field_of(resource, "url", of=of)))
        identity = str(resource.get("id") or len(files))
        name = unquote(urlsplit(url).path).rpartition("/")[2] or identity
        # Portals collect files of one name from several places.
        path = f"{identity}-{name}" if name in taken else name
        taken.add(path)
        files.append(RecordFile(path, url))
    return files


def _seconds(text: Any) -> int:
    """A portal's time, always UTC and never said so, in seconds since 1970."""
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        return 0
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
