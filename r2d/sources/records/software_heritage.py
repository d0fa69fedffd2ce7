"""Software Heritage: an identifier that names the content itself."""

import re
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urljoin

from r2d.errors import SourceNotFound, TemporaryFailure, UnsupportedRepository, WrongUsage
from r2d.events import Decided, Emit, Warned
from r2d.sources.http import REAL_TIME, Clock, Web
from r2d.sources.protocol import Checkout, Network, Source
from r2d.sources.records.files import field_of
from r2d.sources.records.services import Services

_IDENTIFIER = re.compile(
    r"(?:https?://archive\.softwareheritage\.org/(?:browse/)?)?"
    r"(swh:([0-9]+):([a-z]{3}):([0-9a-fA-F]+))((?:;[a-z]+=[^;\s]*)*)/?"
)
_KINDS = ("dir", "rev", "rel", "snp")
_PAUSE = 5.0
_LONGEST_WAIT = 1800.0
_LONGEST_CHAIN = 20  # releases of releases, aliases of aliases
_NAMES = {"directory": "dir", "revision": "rev", "release": "rel", "snapshot": "snp", "content": "cnt"}


def recognise(text: str, services: Services) -> Source | None:
    """The identifier the text is; its qualifiers say where it was seen, not what it is."""
    found = _IDENTIFIER.fullmatch(unquote(text) if text.startswith("http") else text)
    if found is None:
        return None
    identifier, version, kind, digest, _qualifiers = found.groups()
    if version != "1" or not re.fullmatch(r"[0-9a-f]{40}", digest):
        raise WrongUsage(
            "This is no Software Heritage identifier of version 1.",
            where=identifier,
            fix="It has the form swh:1:rev: and 40 lower-case hexadecimal digits.",
        )
    if kind not in _KINDS:
        raise WrongUsage(
            f"A Software Heritage identifier of kind {kind} names no folder.",
            where=identifier,
            fix="Take the one of a directory (dir), a revision (rev), a release (rel) or a snapshot (snp).",
        )
    return ArchivedSoftware(kind, digest, services.software_heritage)


@dataclass(frozen=True)
class ArchivedSoftware:
    """A directory, revision, release or snapshot in the archive of Software Heritage."""

    kind: str
    digest: str
    site: str
    clock: Clock = field(default=REAL_TIME, repr=False)

    @property
    def name(self) -> str:
        """The identifier without its qualifiers."""
        return f"swh:1:{self.kind}:{self.digest}"

    def fetch(self, into: Path, network: Network, emit: Emit) -> Checkout:
        """The directory it names, out of the archive's vault."""
        from r2d.sources.unpack import unpack

        web = Web(network, emit, self.clock)
        token = network.software_heritage_token
        directory = f"swh:1:dir:{self._directory(web, token)}"
        if directory != self.name:
            emit(Decided("directory", directory, because=f"{self.name} holds it"))
        bundle = self._cooked(web, directory, token)
        with tempfile.TemporaryDirectory(prefix=".r2d-download-", dir=into) as folder:
            arrived = web.download(bundle, Path(folder, "bundle"), what=directory, token=token)
            unpack(arrived.path, into, emit=emit, name=directory)
        return Checkout(into, source=self.name, content=directory, temporary=True)

    def _directory(self, web: Web, token: str | None) -> str:
        """The digest of the directory, followed through revisions, releases and branches."""
        kind, digest = self.kind, self.digest
        for _ in range(_LONGEST_CHAIN):
            match kind:
                case "dir":
                    return digest
                case "rev":
                    revision = web.document(f"{self.site}/api/1/revision/{digest}/", token=token)
                    return _hash(field_of(revision, "directory", of=self.name), self.name)
                case "rel":
                    release = web.document(f"{self.site}/api/1/release/{digest}/", token=token)
                    target = field_of(release, "target", of=self.name)
                    kind = _NAMES.get(str(release.get("target_type")), "")
                case "snp":
                    kind, target = self._head(web, digest, token)
                case _:
                    raise UnsupportedRepository(
                        "It leads to no directory.", where=self.name, fix="Take the identifier of a revision."
                    )
            digest = _hash(target, self.name)
        raise UnsupportedRepository("It leads nowhere.", where=self.name, fix="Take that of a revision.")

    def _head(self, web: Web, digest: str, token: str | None) -> tuple[str, Any]:
        """What the default branch of a snapshot is."""
        snapshot = web.document(f"{self.site}/api/1/snapshot/{digest}/", token=token)
        branches = field_of(snapshot, "branches", of=self.name)
        name = "HEAD"
        for _ in range(_LONGEST_CHAIN):
            branch = field_of(branches, name, of=self.name)
            kind = str(field_of(branch, "target_type", of=self.name))
            if kind != "alias":
                return _NAMES.get(kind, ""), field_of(branch, "target", of=self.name)
            name = str(field_of(branch, "target", of=self.name))
        raise UnsupportedRepository(
            "Its HEAD leads nowhere.", where=self.name, fix="Take that of a revision."
        )

    def _cooked(self, web: Web, directory: str, token: str | None) -> str:
        """The address of the bundle, once the vault has made it."""
        order = f"{self.site}/api/1/vault/flat/{directory}/"
        started = self.clock.elapsed()
        state = web.document(order, method="POST", token=token)
        if field_of(state, "status", of=directory) in ("new", "pending"):
            web.emit(Warned(f"Software Heritage packs the directory first; asking every {_PAUSE:.0f} s."))
        while (status := field_of(state, "status", of=directory)) != "done":
            if status == "failed":
                raise SourceNotFound(
                    f"The archive cannot pack it: {state.get('progress_message') or 'no reason given'}.",
                    where=self.name,
                    fix="Take the identifier of another revision.",
                )
            if self.clock.elapsed() - started >= _LONGEST_WAIT:
                raise TemporaryFailure(
                    f"The archive has not packed it in {_LONGEST_WAIT / 60:.0f} minutes.",
                    where=self.name,
                    fix="Try again later: it goes on packing.",
                )
            self.clock.pause(_PAUSE)
            state = web.document(order, token=token)
        return urljoin(order, str(field_of(state, "fetch_url", of=directory)))


def _hash(value: Any, where: str) -> str:
    """A digest out of an answer, which becomes part of an address."""
    if not re.fullmatch(r"[0-9a-f]{40}", str(value)):
        raise SourceNotFound("The archive's answer names no object.", where=where, fix="Try again later.")
    return str(value)
