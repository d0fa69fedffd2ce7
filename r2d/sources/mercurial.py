"""Mercurial repositories, fetched by the hg program, which nobody needs who has none."""

import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from r2d.errors import R2DError, SourceFailed, SourceNotFound, SourceRefused, TemporaryFailure
from r2d.events import Emit
from r2d.sources import git_address
from r2d.sources.git_address import Address, Credentials
from r2d.sources.git_program import Conversation, ProgramFailed, program
from r2d.sources.near_matches import did_you_mean, near_names
from r2d.sources.protocol import Checkout, Network, Source

_EXPLICIT = re.compile(
    r"hg\+(?P<url>(?:https?|ssh|file|static-http)://.+)|(?P<plain>static-http://.+|ssh://hg@.+)"
)
_PATIENCE = 20  # hg says little while it works: silence for so many time-outs is too much
_SETTINGS = (
    "phases.publish=False",  # a draft stays one in the clone
    "ui.interactive=False",
    "extensions.hggit=!",
    "extensions.topic=",
    "subrepos.git:allowed=False",
    "subrepos.svn:allowed=False",
)
_TEMPORARY = re.compile(
    r"Name or service not known|Temporary failure in name resolution|Connection (?:refused|reset|timed out)"
    r"|timed out|HTTP Error 5\d\d|HTTP Error 429|stream ended unexpectedly|Network is unreachable|No route to host",
    re.IGNORECASE,
)
_REFUSED = re.compile(
    r"HTTP Error 40[13]|authorization failed|authentication required|Permission denied", re.I
)
_FORGED = re.compile(r"certificate", re.IGNORECASE)
_ABSENT = re.compile(r"HTTP Error 404|repository .* not found|does not appear to be an hg repository", re.I)
_FORBIDDEN_REF = re.compile(r"[\x00-\x1f\x7f]|^-")
_OWN_SETTINGS = ("/etc/mercurial", "~/.hgrc", "~/.config/hg/hgrc")


@dataclass(frozen=True)
class RecognisedMercurial:
    """A Mercurial repository, and which state of it is meant."""

    address: Address
    ref: str | None = None
    pauses: tuple[float, ...] = field(default=(1.0, 4.0), compare=False)

    @property
    def name(self) -> str:
        """The address without what is secret in it."""
        return self.address.name

    def fetch(self, into: Path, network: Network, emit: Emit) -> Checkout:  # noqa: ARG002 (hg tells no bytes)
        """A clone at the bookmark, branch, topic, tag or hash."""
        with _hg(self, network) as run:
            self._clone(run, into)
            here = ("-R", str(into))
            try:
                run(*here, "update", "--clean", "--rev", self.ref or "default")
            except ProgramFailed as failed:
                if self.ref:
                    raise self._unknown_ref(failed, run, here) from failed
                run(*here, "update", "--clean", "--rev", "tip")  # nothing is on the default branch
            commit = run(*here, "log", "--rev", ".", "--template", "{node}").strip()
        if not commit.strip("0"):
            raise SourceNotFound("The repository is empty: it has no commit.", where=self.name)
        return Checkout(folder=into, source=self.name, content=commit, ref=self.ref, temporary=True)

    def _clone(self, run: "_Run", into: Path) -> None:
        for pause in (*self.pauses, None):
            try:
                run("clone", "--noupdate", "--", self.address.url, str(into))
            except ProgramFailed as failed:
                if pause is None or not _TEMPORARY.search(failed.said):
                    raise
                time.sleep(pause)
            else:
                return

    def _unknown_ref(self, failed: ProgramFailed, run: "_Run", here: tuple[str, str]) -> R2DError:
        if "ambiguous" in failed.said:
            return SourceNotFound(
                f"Several commits begin with {self.ref}.", where=self.name, fix="Give more of the hash."
            )
        names = run(*here, "log", "--template", "{branch}\n{bookmarks % '{bookmark}\n'}{tags % '{tag}\n'}")
        near = near_names(self.ref or "", set(names.splitlines()))
        return SourceNotFound(
            f"No bookmark, branch, topic, tag or commit is called {self.ref!r}.",
            where=self.name,
            fix=did_you_mean(near) or "Without a ref, the branch 'default' is fetched.",
        )


@dataclass(frozen=True)
class _Run:
    """The hg program with what it needs to know."""

    command: tuple[str, ...]
    environment: dict[str, str] = field(repr=False)
    folder: Path
    patience: float
    secrets: tuple[str, ...] = field(repr=False)

    def __call__(self, *arguments: str) -> str:
        conversation = Conversation(
            command=[*self.command, *arguments],
            folder=self.folder,
            environment=self.environment,
            patience=self.patience,
            progress=_ignore,
            secrets=self.secrets,
        )
        return conversation.output()


def recognise(text: str, *, ref: str | None) -> Source | None:
    """The repository at an address that says it is Mercurial's; others are never asked whether they are."""
    match = _EXPLICIT.fullmatch(text)
    if match is None:
        return None
    given = match["url"] or match["plain"]
    static = given.startswith("static-http://")
    address = git_address.parse(given.removeprefix("static-"))
    if address is None:
        return None
    _check_ref(ref, address.name)
    if static:
        address = replace(address, url=f"static-{address.url}", name=f"static-{address.name}")
    return RecognisedMercurial(address, ref=ref or None)


def recognise_local(path: Path, *, name: str, ref: str | None) -> Source:
    """A repository in a folder, for a state of it that is not the one in the folder."""
    _check_ref(ref, name)
    return RecognisedMercurial(Address(str(path), name), ref=ref)


def _check_ref(ref: str | None, where: str) -> None:
    if ref and _FORBIDDEN_REF.search(ref):
        raise SourceNotFound(f"{ref!r} cannot be the name of a bookmark, a branch or a commit.", where=where)


def _ignore(_line: str) -> None:
    """Hg without a terminal tells no progress."""


@contextmanager
def _hg(source: RecognisedMercurial, network: Network) -> Iterator[_Run]:
    """A way to run hg; what it says becomes an error with a remedy, the file with the password goes."""
    hg = program("hg", network)
    private = Path(tempfile.mkdtemp(prefix="r2d-hg-"))
    credentials = source.address.credentials
    try:
        environment = {"PATH": os.defpath, **network.environment, "HGPLAIN": "1", "LC_ALL": "C.UTF-8"}
        environment["HGRCPATH"] = os.pathsep.join(
            (*_own_settings(network), str(_settings(private, credentials)))
        )
        if network.ca_bundle:
            environment["SSL_CERT_FILE"] = str(network.ca_bundle)
        yield _Run(
            command=(hg, f"--config=http.timeout={network.timeout:.0f}"),
            environment=environment,
            folder=private,
            patience=network.timeout * _PATIENCE,
            secrets=credentials.secrets if credentials else (),
        )
    except ProgramFailed as failed:
        raise _explain(failed.said, source.name) from failed
    finally:
        shutil.rmtree(private, ignore_errors=True)


def _own_settings(network: Network) -> tuple[str, ...]:
    """The settings hg would read by itself: naming a file of ours takes their place."""
    if given := network.environment.get("HGRCPATH"):
        return (given,)
    home = network.environment.get("HOME", "/")
    return tuple(path.replace("~", home) for path in _OWN_SETTINGS)


def _settings(folder: Path, credentials: Credentials | None) -> Path:
    """What hg must know, in a file that only this user can read: arguments can be seen by everybody."""
    sections: dict[str, list[str]] = {}
    for setting in _SETTINGS:
        section, _, rest = setting.partition(".")
        sections.setdefault(section, []).append(rest)
    if credentials:
        sections["auth"] = [
            f"r2d.prefix={credentials.server}",
            f"r2d.username={credentials.username or ''}",
            f"r2d.password={credentials.password or ''}",
        ]
    file = folder / "hgrc"
    file.write_text("".join(f"[{name}]\n" + "\n".join(lines) + "\n" for name, lines in sections.items()))
    return file


def _explain(said: str, name: str) -> R2DError:
    said = said.strip() or "no reason was given"
    last = said.splitlines()[-1][:400]
    if _FORGED.search(said):
        return SourceRefused(
            "The server's certificate is not signed by anybody this machine trusts.",
            where=name,
            fix="Name the CA bundle of your network (ca_bundle under [origins], or SSL_CERT_FILE).",
        )
    if _REFUSED.search(said):
        return SourceRefused(
            "The repository is private and the credentials are missing or wrong.",
            where=name,
            fix="Put them into the address, into hg's own [auth] settings, or use an ssh key.",
        )
    if _TEMPORARY.search(said):
        return TemporaryFailure(
            f"The server did not answer as it should: {last}", where=name, fix="Try again later."
        )
    if _ABSENT.search(said):
        return SourceNotFound("There is no Mercurial repository at this address.", where=name)
    return SourceFailed(f"Mercurial could not fetch it: {last}", where=name)
