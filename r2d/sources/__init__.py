"""Anything a researcher can point at becomes a checkout."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from r2d.errors import OutputExists, OutputNotWritten, SourceNotFound, WrongUsage
from r2d.events import Decided, Emit, Fetched, Fetching
from r2d.sources import folder as folders
from r2d.sources.protocol import Checkout, Network, Source
from r2d.sources.subfolder import within

__all__ = ["Checkout", "Network", "Opening", "Source", "checkout", "fetch_to", "recognise", "within"]


@dataclass(frozen=True)
class Opening:
    """A source that was named together with the page to open."""

    source: Source
    open_at: str

    @property
    def name(self) -> str:
        """The name of the source."""
        return self.source.name

    def fetch(self, into: Path, network: Network, emit: Emit) -> Checkout:
        """The source's checkout, knowing the page."""
        return replace(self.source.fetch(into, network, emit), open_at=self.open_at)


def recognise(text: str, *, ref: str | None, working_folder: Path, subdir: str = "") -> Source:
    """What the user points at, found by its form and the local files alone.

    `subdir` is a hint: a source that can fetch a part fetches that part. `within` then goes there.
    """
    # Each kind is imported when its turn comes: a folder must cost nothing of the others.
    if "://" in text:
        from r2d.sources import launch_links

        if link := launch_links.recognise(text):
            source = recognise(
                link.repository, ref=ref or link.ref, working_folder=working_folder, subdir=subdir
            )
            return Opening(source, link.open_at) if link.open_at else source
    elif found := folders.recognise(text, ref=ref, working_folder=working_folder):
        return found
    return (
        _recognise_files(text, working_folder)
        or _recognise_repository(text, ref=ref, working_folder=working_folder, subdir=subdir)
        or _not_found(text, working_folder)
    )


def _recognise_files(text: str, working_folder: Path) -> Source | None:
    from r2d.sources import archives, records

    return archives.recognise(text, working_folder) or records.recognise(text)


def _recognise_repository(text: str, *, ref: str | None, working_folder: Path, subdir: str) -> Source | None:
    from r2d.sources import git, launch_links, mercurial

    if found := mercurial.recognise(text, ref=ref):
        return found
    # Archives and records have had their turn: "v2" is the beginning of many services' addresses.
    launch_links.refuse_unknown_provider(text)
    return git.recognise(text, ref=ref, working_folder=working_folder, subdir=subdir)


def _not_found(text: str, working_folder: Path) -> Source:
    from r2d.sources.near_matches import did_you_mean, near_folders

    near = list(near_folders(text, working_folder))
    near = [name if name.startswith(("/", ".")) else f"./{name}" for name in near]
    if web := _without_scheme(text):
        near.append(web)
    raise SourceNotFound(
        "There is no such folder or file, and it is no address of a repository.",
        where=text,
        fix=did_you_mean(near)
        or "Give a folder, the URL of a repository, a DOI, an archive or a launch link.",
    )


def _without_scheme(text: str) -> str | None:
    host, _, path = text.partition("/")
    named = host in ("github.com", "gitlab.com", "bitbucket.org", "codeberg.org", "gist.github.com")
    return f"https://{text}" if named and path else None


@contextmanager
def checkout(
    source: Source, *, temporary_root: Path | None, keep: bool, network: Network, emit: Emit
) -> Iterator[Checkout]:
    """The files of the source for as long as the block runs; `keep` leaves what was fetched and says where."""
    if isinstance(source, folders.Folder):  # needs no room of its own
        yield _fetched(source, source.path, network, emit)
        return
    import tempfile

    private = Path(tempfile.mkdtemp(prefix="r2d-", dir=temporary_root))
    try:
        yield _fetched(source, private, network, emit)
    finally:
        if keep and any(private.iterdir()):
            emit(Decided("checkout", str(private), because="fetched files are kept on request"))
        else:
            _remove(private)


def fetch_to(source: Source, folder: Path, *, subdir: str = "", network: Network, emit: Emit) -> Checkout:
    """The source's files in a folder of the user's, which stays as it was where they cannot be brought."""
    if isinstance(source, folders.Folder):
        raise WrongUsage(
            "This is a folder already: there is nothing to fetch.", where=source.name, fix="Use it as it is."
        )
    made = _made(folder)
    try:
        found = _fetched(source, folder, network, emit)
        return within(found, subdir) if subdir else found
    except BaseException:
        for path in [made] if made else list(folder.iterdir()):
            _remove(path)
        raise


def _made(folder: Path) -> Path | None:
    """Make the folder; the first folder on the way to it that was not there, None where all were."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise OutputExists("There is something already.", where=str(folder), fix="Name a new folder.")
    except FileExistsError as error:
        raise OutputExists("This is a file.", where=str(folder), fix="Name a new folder.") from error
    except OSError as error:
        raise OutputNotWritten(
            f"The folder cannot be used: {error.strerror}.", where=str(folder), fix="Name another folder."
        ) from error
    return missing[-1] if missing else None


def _fetched(source: Source, into: Path, network: Network, emit: Emit) -> Checkout:
    emit(Fetching(source.name))
    found = source.fetch(into, network, emit)
    emit(Fetched(source=source.name, folder=str(found.folder), content=found.content))
    return found


def _remove(folder: Path) -> None:
    import shutil

    if folder.is_symlink() or not folder.is_dir():
        folder.unlink()
        return
    try:
        shutil.rmtree(folder)
    except PermissionError:
        # An archive may hold folders that not even their owner can write to.
        for parent, names, _ in os.walk(folder):
            for path in (Path(parent, name) for name in names):
                if not path.is_symlink():
                    path.chmod(stat.S_IRWXU)
        shutil.rmtree(folder)
