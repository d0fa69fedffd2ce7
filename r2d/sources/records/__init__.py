"""Repositories of research data: what a DOI, a record's address or an archive's identifier names."""

from typing import TYPE_CHECKING
from urllib.parse import SplitResult

from r2d.sources.protocol import Source
from r2d.sources.records.services import Services, address, known_services

if TYPE_CHECKING:
    from collections.abc import Callable


def recognise(text: str, services: Services | None = None) -> Source | None:
    """The record the text names, by its form alone."""
    from r2d.sources.records import doi, software_heritage

    text = text.strip()
    services = services or known_services()
    if found := doi.recognise(text, services) or software_heritage.recognise(text, services):
        return found
    if "://" not in text and text.partition("/")[0].lower() in (
        *services.inveniordm_hosts,
        "osf.io",
        "figshare.com",
    ):
        text = f"https://{text}"
    parts = address(text)
    return recognise_address(parts, services) if parts else None


def recognise_address(parts: SplitResult, services: Services) -> Source | None:
    """The record at a web address: only the service that the host runs is taken into account."""
    from r2d.sources.records import ckan, dataverse, figshare, hydroshare, osf, zenodo

    if parts.hostname in services.code_hosts:
        return None
    kinds: tuple[Callable[[SplitResult, Services], Source | None], ...] = (
        zenodo.recognise,
        figshare.recognise,
        hydroshare.recognise,
        osf.recognise,
        dataverse.recognise,
        ckan.recognise,  # the last: it takes any host, by the form of the path
    )
    return next((found for kind in kinds if (found := kind(parts, services))), None)
