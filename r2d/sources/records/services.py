"""The services r2d knows, read once from data."""

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.parse import SplitResult, urlsplit


@dataclass(frozen=True)
class Services:
    """Where the services are, and which hosts run which software."""

    doi: str
    figshare: str
    hydroshare: str
    osf: str
    software_heritage: str
    code_hosts: frozenset[str]
    inveniordm_hosts: frozenset[str]
    figshare_hosts: frozenset[str]
    dataverse_hosts: frozenset[str]


@cache
def known_services() -> Services:
    """The services in the data file beside this module."""
    listed = tomllib.loads(Path(__file__).with_name("services.toml").read_text(encoding="utf-8"))
    return Services(
        **listed["api"],
        code_hosts=frozenset(listed["code"]["hosts"]),
        inveniordm_hosts=frozenset(listed["inveniordm"]["hosts"]),
        figshare_hosts=frozenset(listed["figshare"]["hosts"]),
        dataverse_hosts=frozenset(listed["dataverse"]["hosts"]),
    )


def address(text: str) -> SplitResult | None:
    """The web address that a text is, or None."""
    if any(char.isspace() or not char.isprintable() for char in text):
        return None
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        return None
    return parts if usable else None


def site(parts: SplitResult) -> str:
    """The scheme and host of an address, without credentials."""
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2].lower()}"


def https(parts: SplitResult) -> str:
    """The site, over TLS unless it names a port: links of old are plain and services redirect them."""
    return site(parts) if parts.port else f"https://{parts.netloc.rpartition('@')[2].lower()}"
