"""The Open Science Framework: projects, components and registrations."""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urljoin

from r2d.errors import SourceNotFound, UnsupportedRepository
from r2d.events import Emit, Warned
from r2d.sources.http import REAL_TIME, Checksum, Clock, Web
from r2d.sources.protocol import Checkout, Network, Source
from r2d.sources.records.files import RecordFile, bring, field_of
from r2d.sources.records.services import Services

_ID = re.compile(r"/(?:registries/[a-z]+/|project/)?([a-z0-9]{5})(?:/.*)?", re.IGNORECASE)
_PAGES = frozenset({"about", "login", "goodb", "terms"})  # five letters that are no id
_MOST_REQUESTS = 10_000  # a listing that goes in circles ends here
_STORAGE = "osfstorage"


def recognise(parts: SplitResult, services: Services) -> Source | None:
    """A project, component or registration on osf.io."""
    found = _ID.fullmatch(parts.path) if parts.hostname in ("osf.io", "www.osf.io") else None
    return OsfProject(found[1].lower(), services.osf) if found and found[1].lower() not in _PAGES else None


@dataclass(frozen=True)
class OsfProject:
    """A project, component or registration of the OSF."""

    id: str
    api: str
    clock: Clock = field(default=REAL_TIME, repr=False)

    @property
    def name(self) -> str:
        """Its short address."""
        return f"https://osf.io/{self.id}"

    def fetch(self, into: Path, network: Network, emit: Emit) -> Checkout:
        """The files in its own storage; what lies in connected services is named, not fetched."""
        web = Web(network, emit, self.clock)
        found = field_of(web.document(f"{self.api}/v2/guids/{self.id}/"), "data", of=self.name)
        kind = field_of(found, "type", of=self.name)
        if kind not in ("nodes", "registrations"):
            raise UnsupportedRepository(
                f"This is one of OSF's {kind}, not a project.",
                where=self.name,
                fix="Give the address of the project or registration that it belongs to.",
            )
        files = list(self._files(web, f"{self.api}/v2/{kind}/{self.id}/files/"))
        bring([file for file, _ in files], into, web, record=self.name)
        return Checkout(into, source=self.name, content=f"{self.id}.{_digest(files)}", temporary=True)

    def _files(self, web: Web, address: str) -> Iterator[tuple[RecordFile, str]]:
        """Every file with the version it has, by asking folder after folder."""
        requests = iter(range(_MOST_REQUESTS))
        waiting: list[str] = []
        for storage in self._listed(web, address, requests):
            provider = field_of(storage, "attributes", "provider", of=self.name)
            if provider == _STORAGE:
                waiting.append(self._folder(storage, address))
            else:
                web.emit(Warned(f"Files that the project keeps at {provider} were not fetched."))
        while waiting:
            here = waiting.pop()
            for entry in self._listed(web, here, requests):
                if field_of(entry, "attributes", "kind", of=self.name) == "folder":
                    waiting.append(self._folder(entry, here))
                else:
                    yield self._file(entry)

    def _listed(self, web: Web, address: str, requests: Iterator[int]) -> Iterator[Any]:
        following: str | None = address
        while following:
            if next(requests, None) is None:
                raise SourceNotFound(
                    f"The project has more than {_MOST_REQUESTS} folders.",
                    where=self.name,
                    fix="Download it yourself and give r2d the folder.",
                )
            page = web.document(following)
            yield from field_of(page, "data", of=self.name)
            further = (page.get("links") or {}).get("next")
            following = urljoin(following, further) if further else None

    def _folder(self, entry: Any, here: str) -> str:
        link = field_of(entry, "relationships", "files", "links", "related", "href", of=self.name)
        return urljoin(here, str(link))

    def _file(self, entry: Any) -> tuple[RecordFile, str]:
        attributes = field_of(entry, "attributes", of=self.name)
        path = str(attributes.get("materialized_path") or field_of(attributes, "name", of=self.name))
        hashes = (attributes.get("extra") or {}).get("hashes") or {}
        checksum = Checksum.parse("sha256", hashes.get("sha256")) or Checksum.parse("md5", hashes.get("md5"))
        size = attributes.get("size")
        file = RecordFile(
            path=path.removeprefix("/"),
            url=str(field_of(entry, "links", "download", of=self.name)),
            size=size if isinstance(size, int) else None,
            checksum=checksum,
        )
        known_by = checksum.digest if checksum else f"{size} {attributes.get('date_modified')}"
        return file, known_by


def _digest(files: list[tuple[RecordFile, str]]) -> str:
    """What names the content of a project, which has no versions of its own."""
    lines = sorted(f"{known_by}  {file.path}\n" for file, known_by in files)
    return hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()[:40]
