"""A DOI: asked once of doi.org's handle interface, then of the one service it leads to."""

import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from r2d.errors import SourceNotFound
from r2d.events import Decided, Emit
from r2d.sources.http import REAL_TIME, Clock, Web
from r2d.sources.protocol import Checkout, Network, Source
from r2d.sources.records.services import Services, address

_BARE = re.compile(r"(?:doi:\s*)?(10\.\d+(?:\.\d+)*/[^\s\x00-\x20]+)", re.IGNORECASE)
_ADDRESS = re.compile(r"(?:https?://)?(?:(?:dx|www)\.)?doi\.org/(?:doi:)?(.+)", re.IGNORECASE)
_WHOLE = re.compile(r"10\.\d+(?:\.\d+)*/\S+")


def recognise(text: str, services: Services) -> Source | None:
    """The DOI the text is, in any of the forms that papers and badges use."""
    if found := _ADDRESS.fullmatch(text):
        doi = unquote(urlsplit(found[1]).path if "?" in found[1] or "#" in found[1] else found[1]).rstrip("/")
    elif found := _BARE.fullmatch(text):
        doi = found[1].rstrip("/")
    else:
        return None
    return Doi(doi, services) if _WHOLE.fullmatch(doi) and doi.isprintable() else None


@dataclass(frozen=True)
class Doi:
    """A DOI whose service is not known yet."""

    doi: str
    services: Services = field(repr=False)
    clock: Clock = field(default=REAL_TIME, repr=False)

    @property
    def name(self) -> str:
        """The DOI itself."""
        return self.doi

    def fetch(self, into: Path, network: Network, emit: Emit) -> Checkout:
        """Ask where it leads, and fetch from there."""
        target = self._target(Web(network, emit, self.clock))
        emit(Decided("record", target, because=f"the DOI {self.doi} leads there"))
        found = _at(target, self)
        if found is None:
            raise SourceNotFound(
                f"The DOI leads to {target}, which is no repository r2d knows.",
                where=self.doi,
                fix="Known are Zenodo and other InvenioRDM, Figshare, Dataverse, HydroShare, CKAN and OSF. "
                "Download it yourself and give r2d the folder.",
            )
        return replace(found.fetch(into, network, emit), source=self.doi)

    def _target(self, web: Web) -> str:
        url = f"{self.services.doi}/api/handles/{quote(self.doi, safe='/:;()')}"
        handle = web.document_if_there(url)
        for value in _values(handle):
            if value.get("type") == "URL" and isinstance(value.get("data"), dict):
                target = value["data"].get("value")
                if isinstance(target, str) and address(target):
                    return target
        raise SourceNotFound(
            "There is no such DOI." if handle is None else "The DOI leads to no web address.",
            where=self.doi,
            fix="Check it at https://doi.org.",
        )


def _values(handle: Any) -> list[dict[str, Any]]:
    values = handle.get("values") if isinstance(handle, dict) else None
    return [value for value in values if isinstance(value, dict)] if isinstance(values, list) else []


def _at(target: str, doi: Doi) -> Source | None:
    """The record there: by its host, or, since a DOI vouches for it, by the form of the address."""
    from r2d.sources.records import figshare, recognise_address, zenodo

    parts = address(target)
    if parts is None:
        return None
    found = recognise_address(parts, doi.services) or zenodo.recognise_form(parts)
    if isinstance(found, figshare.FigshareItem):
        found = figshare.in_version_of(found, doi.doi)
    return replace(found, clock=doi.clock) if found else None  # type: ignore[type-var]
