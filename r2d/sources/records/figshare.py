"""Figshare, and the portals institutions have there."""

import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult

from r2d.errors import WrongUsage
from r2d.events import Decided, Emit, Warned
from r2d.sources.http import REAL_TIME, Checksum, Clock, Web
from r2d.sources.protocol import Checkout, Network, Source
from r2d.sources.records.files import RecordFile, bring, field_of
from r2d.sources.records.services import Services, site

_PAGE = 1000
_LISTED_WITH_ITEM = 10  # an item's own list of files stops there
_LARGEST_VERSION = 999  # ids are longer


def recognise(parts: SplitResult, services: Services) -> Source | None:
    """An item of figshare.com or of an institution's portal."""
    host = parts.hostname or ""
    if host != "figshare.com" and not host.endswith(".figshare.com") and host not in services.figshare_hosts:
        return None
    segments = [segment for segment in parts.path.split("/") if segment]
    if segments[:1] == ["s"]:
        raise WrongUsage(
            "This is a private link of Figshare, which its public interface does not serve.",
            where=f"{site(parts)}/s/…",
            fix="Ask for the item's public address or DOI, or download it and give r2d the folder.",
        )
    if segments[:1] == ["account"]:
        segments = segments[1:]
    found = _id_and_version(segments[1:]) if segments[:1] == ["articles"] else None
    return FigshareItem(*found, api=services.figshare) if found else None


def _id_and_version(segments: list[str]) -> tuple[int, int | None] | None:
    """From […type, title,] id [, version]: the version, if any, is the small number at the end."""
    numbers = [int(segment) if re.fullmatch(r"[0-9]{1,18}", segment) else None for segment in segments]
    match numbers:
        case [*_, int(item), int(version)] if 0 < version <= _LARGEST_VERSION < item:
            return item, version
        case [*_, int(item)] if len(segments) <= 3:
            return item, None
        case _:
            return None


def in_version_of(item: "FigshareItem", doi: str) -> "FigshareItem":
    """The item in the version that a DOI ends in, where its address names none."""
    found = re.search(r"\.v([0-9]{1,4})$", doi, re.IGNORECASE)
    return replace(item, version=int(found[1])) if found and item.version is None else item


@dataclass(frozen=True)
class FigshareItem:
    """An item of Figshare; without a version, its latest."""

    id: int
    version: int | None
    api: str
    clock: Clock = field(default=REAL_TIME, repr=False)

    @property
    def name(self) -> str:
        """The item's address, without its title."""
        version = f"/{self.version}" if self.version else ""
        return f"https://figshare.com/articles/{self.id}{version}"

    def fetch(self, into: Path, network: Network, emit: Emit) -> Checkout:
        """The files of one version."""
        web = Web(network, emit, self.clock)
        item_address = f"{self.api}/v2/articles/{self.id}"
        asked = f"{item_address}/versions/{self.version}" if self.version else item_address
        item = web.document(asked)
        version = self.version or int(field_of(item, "version", of=self.name))
        if self.version is None:
            emit(Decided("version", str(version), because="no version is asked for; this is the latest"))
        listed = field_of(item, "files", of=self.name)
        if len(listed) >= _LISTED_WITH_ITEM:
            listed = self._all_files(web, f"{item_address}/versions/{version}/files")
        bring(self._files(listed, emit), into, web, record=self.name)
        return Checkout(into, source=self.name, content=f"{self.id}.v{version}", temporary=True)

    def _all_files(self, web: Web, address: str) -> list[Any]:
        listed: list[Any] = []
        page = 1
        while found := web.document(f"{address}?page={page}&page_size={_PAGE}"):
            listed += found
            if len(found) < _PAGE:
                break
            page += 1
        return listed

    def _files(self, listed: list[Any], emit: Emit) -> list[RecordFile]:
        files = []
        for file in listed:
            name = str(field_of(file, "name", of=self.name))
            if file.get("is_link_only"):
                emit(Warned(f"{name} is only a link to another site and was not fetched."))
                continue
            size = file.get("size")
            files.append(
                RecordFile(
                    path=name,
                    url=str(field_of(file, "download_url", of=self.name)),
                    size=size if isinstance(size, int) else None,
                    checksum=Checksum.parse("md5", file.get("computed_md5") or file.get("supplied_md5")),
                )
            )
        return files
