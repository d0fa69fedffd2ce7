"""Zenodo, and every other InvenioRDM."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, quote, unquote, urljoin

from r2d.errors import SourceNotFound
from r2d.events import Decided, Emit
from r2d.sources.http import REAL_TIME, Checksum, Clock, Web
from r2d.sources.protocol import Checkout, Network, Source
from r2d.sources.records.files import RecordFile, bring, field_of
from r2d.sources.records.services import Services, address, https

_RECORD = re.compile(r"(?:/api)?/records?/([A-Za-z0-9][A-Za-z0-9._-]*)(/.*)?")
_OF_ZENODO = re.compile(r"10\.\d+/zenodo\.(\d+)", re.IGNORECASE)


def recognise(parts: SplitResult, services: Services) -> Source | None:
    """A record of a host known to run InvenioRDM."""
    return recognise_form(parts) if parts.hostname in services.inveniordm_hosts else None


def recognise_form(parts: SplitResult) -> Source | None:
    """A record, by the form of its address: what follows the id does not matter, unless it says "latest"."""
    path = unquote(parts.path)
    if found := _RECORD.fullmatch(path):
        tail = (found[2] or "").strip("/")
        return InvenioRecord(https(parts), found[1], latest=tail in ("latest", "versions/latest"))
    if path.startswith("/doi/10."):
        doi = path.removeprefix("/doi/").rstrip("/")
        if of_zenodo := _OF_ZENODO.fullmatch(doi):
            return InvenioRecord(https(parts), of_zenodo[1])
        return InvenioRecord(https(parts), None, doi=doi)
    return None


@dataclass(frozen=True)
class InvenioRecord:
    """A record of an InvenioRDM, by its id or by the address its DOI has there."""

    site: str
    id: str | None
    doi: str | None = None
    latest: bool = False
    clock: Clock = field(default=REAL_TIME, repr=False)

    @property
    def name(self) -> str:
        """The record's page."""
        return f"{self.site}/doi/{self.doi}" if self.id is None else f"{self.site}/records/{self.id}"

    def fetch(self, into: Path, network: Network, emit: Emit) -> Checkout:
        """The files of the record; of the latest one where the id stands for all versions."""
        web = Web(network, emit, self.clock)
        asked = self.id or self._id_of_doi(web)
        record = self._record(web, asked)
        found = str(field_of(record, "id", of=self.name))
        if found != asked:
            emit(Decided("version", found, because=f"{asked} leads to it: it is the latest version"))
        bring(self._files(web, record, found), into, web, record=self.name)
        return Checkout(into, source=self.name, content=found, temporary=True)

    def _id_of_doi(self, web: Web) -> str:
        page = address(web.final_address(self.name))
        found = _RECORD.fullmatch(unquote(page.path)) if page else None
        if found is None:
            raise SourceNotFound("The DOI leads to no record.", where=self.name, fix="Check the address.")
        return found[1]

    def _record(self, web: Web, asked: str) -> Any:
        api = f"{self.site}/api/records/{quote(asked)}"
        latest = f"{api}/versions/latest"
        if self.latest:
            return web.document(latest)
        # The id that stands for all versions is a record of its own on some sites, and none on others.
        return web.document_if_there(api) or web.document(latest)

    def _files(self, web: Web, record: Any, found: str) -> list[RecordFile]:
        here = f"{self.site}/api/records/{quote(found)}/files"
        listed = web.document_if_there(here)
        entries = listed.get("entries") if isinstance(listed, dict) else None
        if isinstance(entries, dict):
            entries = list(entries.values())
        return [self._file(entry, here) for entry in entries or field_of(record, "files", of=self.name)]

    def _file(self, entry: Any, here: str) -> RecordFile:
        name = str(field_of(entry, "key", of=self.name))
        links = entry.get("links") or {}
        link = links.get("content") or f"{here}/{quote(name, safe='')}/content"
        algorithm, _, digest = str(entry.get("checksum") or "").partition(":")
        size = entry.get("size")
        return RecordFile(
            path=name,
            url=urljoin(here, link),
            size=size if isinstance(size, int) else None,
            checksum=Checksum.parse(algorithm, digest),
        )
