"""A folder of this machine: used in place, never copied, never deleted."""

from dataclasses import dataclass
from pathlib import Path

from r2d.errors import WrongUsage
from r2d.events import Emit
from r2d.sources.protocol import Checkout, Network, Source


@dataclass(frozen=True)
class Folder:
    """A folder that stays where it is."""

    path: Path
    name: str

    def fetch(self, into: Path, network: Network, emit: Emit) -> Checkout:  # noqa: ARG002 (the files are here)
        """The folder itself; `into` stays empty."""
        # Every local folder has one name in labels: a path tells of the machine, not of the content.
        return Checkout(folder=self.path, source="local", content=None)


def recognise(text: str, *, ref: str | None, working_folder: Path) -> Source | None:
    """The folder of this name; at another state than its own when it is a repository and a ref is given."""
    path = working_folder / text
    if not _is_folder(path) or is_bare_repository(path):
        return None
    if ref in (None, "", "HEAD"):
        return Folder(path=path.absolute(), name=text)
    if (path / ".git").exists():
        from r2d.sources import git

        return git.recognise_local(path.absolute(), name=text, ref=ref)
    if (path / ".hg").is_dir():
        from r2d.sources import mercurial

        return mercurial.recognise_local(path.absolute(), name=text, ref=ref)
    raise WrongUsage(
        f"A ref is asked for ({ref}), and this folder is no repository.",
        where=text,
        fix="Leave out the ref, or name the repository that has it.",
    )


def is_bare_repository(path: Path) -> bool:
    """Whether a folder is git's own storage, without files checked out."""
    return (path / "HEAD").is_file() and (path / "objects").is_dir() and (path / "refs").is_dir()


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):  # a name too long, a NUL in it
        return False
