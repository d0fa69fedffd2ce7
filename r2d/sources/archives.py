"""An archive, by path or address."""

import hashlib
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from r2d.errors import SourceNotFound
from r2d.events import Emit
from r2d.sources.http import REAL_TIME, Clock, Web, origin_of
from r2d.sources.protocol import Checkout, Network, Source

_SUFFIXES = (
    *(".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2"),
    *(".tar.xz", ".txz", ".tar.zst", ".tzst"),
)


def recognise(text: str, working_folder: Path) -> Source | None:
    """The archive the text names, by an address or as a file that is there."""
    if "://" in text:
        return _recognise_address(text)
    if not _named_like_one(text):
        return None
    path = working_folder / Path(text).expanduser() if text.startswith("~") else working_folder / text
    try:
        return LocalArchive(path) if path.is_file() else None
    except (OSError, ValueError):
        return None


def _recognise_address(text: str) -> Source | None:
    if any(char.isspace() or not char.isprintable() for char in text):
        return None
    try:
        parts = urlsplit(text)
        usable = (
            parts.scheme in ("http", "https") and parts.hostname and (parts.port is None or parts.port > 0)
        )
    except ValueError:
        return None
    return RemoteArchive(text) if usable and _named_like_one(parts.path) else None


def _named_like_one(path: str) -> bool:
    return path.lower().endswith(_SUFFIXES)


@dataclass(frozen=True)
class LocalArchive:
    """An archive on this machine."""

    path: Path

    @property
    def name(self) -> str:
        """Its file's name, as a terminal can print it: a path tells of the machine, not of the content."""
        text = self.path.name.encode("utf-8", "backslashreplace").decode()
        return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)

    def fetch(self, into: Path, network: Network, emit: Emit) -> Checkout:  # noqa: ARG002 a Source's form
        """Unpack it; the hash of the file names the content."""
        from r2d.sources.unpack import unpack

        try:
            with self.path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise SourceNotFound(
                f"The archive cannot be read: {error.strerror}.",
                where=self.name,
                fix="Check its permissions.",
            ) from error
        unpack(self.path, into, emit=emit, name=self.name)
        # The same content is the same image, wherever the file lies and whatever it is called.
        return Checkout(into, source="local", content=f"sha256:{digest}", temporary=True)


@dataclass(frozen=True)
class RemoteArchive:
    """An archive behind an address."""

    url: str = field(repr=False)  # may hold a credential
    clock: Clock = field(default=REAL_TIME, repr=False)

    @property
    def name(self) -> str:
        """The address without credentials and query, which may be secrets."""
        return origin_of(self.url) + urlsplit(self.url).path

    def fetch(self, into: Path, network: Network, emit: Emit) -> Checkout:
        """Download and unpack it; the hash of the file names the content."""
        from r2d.sources.unpack import unpack

        file_name = unquote(urlsplit(self.url).path).rpartition("/")[2]
        with tempfile.TemporaryDirectory(prefix=".r2d-download-", dir=into) as folder:
            arrived = Web(network, emit, self.clock).download(
                self.url, Path(folder, "archive"), what=file_name
            )
            unpack(arrived.path, into, emit=emit, name=self.name)
        return Checkout(into, source=self.name, content=f"sha256:{arrived.sha256}", temporary=True)
