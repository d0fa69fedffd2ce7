"""From a commit that is here to its files: checkout, submodules, large files."""

import re
import shutil
from pathlib import Path
from urllib.parse import urlsplit

from r2d.errors import SourceFailed, SourceNotFound, ToolMissing, UnsafeContent
from r2d.sources import git_address
from r2d.sources.git_failures import explain, is_temporary, last_words
from r2d.sources.git_program import Git, ProgramFailed, program
from r2d.sources.git_refs import ALL_REFS, BRANCH, Wanted
from r2d.sources.near_matches import did_you_mean, near_names

_DEEPEST = 10  # submodules within submodules: more is a loop
_POINTER = b"version https://git-lfs.github.com/spec/v1\n"
_LARGEST_POINTER = 1024
_LFS_ANSWER = re.compile(r"batch response: (.{1,400})")
_LFS = {
    "filter.lfs.smudge": "git-lfs smudge -- %f",
    "filter.lfs.clean": "git-lfs clean -- %f",
    "filter.lfs.process": "git-lfs filter-process",
    "filter.lfs.required": "true",
    "lfs.concurrenttransfers": "4",
}


def check_out(git: Git, wanted: Wanted, *, part: str) -> None:
    """Put the commit's files into the folder, with the submodules and large files of that commit."""
    if part:
        _only(git, wanted.commit, part)
    branch = wanted.ref.removeprefix(BRANCH) if wanted.ref and wanted.ref.startswith(BRANCH) else None
    if branch:
        git.local("update-ref", f"refs/remotes/origin/{branch}", wanted.commit)
    # Files that a sparse checkout needs are fetched now.
    git.remote("checkout", "--progress", "--force", "--detach", wanted.commit)
    if branch:
        git.local("update-ref", f"{BRANCH}{branch}", wanted.commit)
        git.local("symbolic-ref", "HEAD", f"{BRANCH}{branch}")
    _bring_submodules(git, git.folder, part=part, depth=0)
    _bring_large_files(git, git.folder)


def _only(git: Git, commit: str, part: str) -> None:
    """Limit the checkout to one folder, if it is a real one: what a link means can lie anywhere."""
    folder = ""
    for name in part.split("/"):
        kinds = _entries(git, commit, folder)
        path = f"{folder}{name}"
        if name not in kinds:
            near = [
                f"{folder}{found}" for found in near_names(name, [n for n, k in kinds.items() if k != "blob"])
            ]
            raise SourceNotFound(
                f"{git.name} has no folder of this name.",
                where=part,
                fix=did_you_mean(near) or "Name a folder as seen from the repository's root.",
            )
        if kinds[name] != "tree":
            return
        folder = f"{path}/"
    try:
        git.local("sparse-checkout", "set", "--cone", "--end-of-options", part)
    except ProgramFailed:  # an older git: everything comes
        git.local("sparse-checkout", "disable")


def _entries(git: Git, commit: str, folder: str) -> dict[str, str]:
    """The names in a folder of the commit, with their kind."""
    listing = git.remote("ls-tree", "-z", f"{commit}:{folder}")
    lines = [line.partition("\t") for line in listing.split("\0") if line]
    return {name: facts.split()[1] for facts, _, name in lines}


def _bring_submodules(git: Git, folder: Path, *, part: str, depth: int) -> None:
    if not (folder / ".gitmodules").is_file():
        return
    if depth > _DEEPEST:
        raise UnsafeContent("Submodules are nested without end.", where=str(folder.relative_to(git.folder)))
    here = ("-C", str(folder))
    paths = [path for path in _submodule_paths(git, here) if not part or f"{path}/".startswith(f"{part}/")]
    if not paths:
        return
    git.local(*here, "submodule", "--quiet", "init", "--", *paths)
    _check_submodule_addresses(git, here)
    update = ("submodule", "update", "--progress", "--checkout", "--force")
    for path in paths:
        try:
            git.remote(*here, *update, "--depth=1", "--", path)
        except ProgramFailed as failed:
            if is_temporary(failed.said):
                raise
            # The server may hand out no single commit: then its history has to come.
            _update_fully(git, here, update, path)
        _bring_submodules(git, folder / path, part="", depth=depth + 1)


def _update_fully(git: Git, here: tuple[str, str], update: tuple[str, ...], path: str) -> None:
    module = Path(here[1]) / path
    try:
        if (module / ".git").exists():  # the shallow clone is there and lacks the commit
            git.remote("-C", str(module), "fetch", "--progress", "--unshallow", "origin", ALL_REFS)
        git.remote(*here, *update, "--", path)
    except ProgramFailed as failed:
        raise explain(failed.said, f"{git.name}, submodule {path}") from failed


def _submodule_paths(git: Git, here: tuple[str, str]) -> list[str]:
    """Where the commit has submodules that .gitmodules knows; others have no address."""
    staged = git.local(*here, "ls-files", "--stage", "-z")
    linked = {line.partition("\t")[2] for line in staged.split("\0") if line.startswith("160000 ")}
    listed = git.local(
        *here, "config", "--null", "--file", ".gitmodules", "--get-regexp", r"^submodule\..*\.path$"
    )
    named = {line.partition("\n")[2] for line in listed.split("\0") if line}
    return sorted(linked & named)


def _check_submodule_addresses(git: Git, here: tuple[str, str]) -> None:
    listed = git.local(*here, "config", "--null", "--local", "--get-regexp", r"^submodule\..*\.url$")
    for line in listed.split("\0"):
        name, _, url = line.partition("\n")
        if not name:
            continue
        shown = f"{git.name}, {name.removesuffix('.url')}"
        address = git_address.parse(url) if not url.startswith("/") else git_address.Address(url, url)
        if address is None or url.startswith("-"):
            raise UnsafeContent("The address of a submodule is none git should follow.", where=shown)
        if address.protocol not in git.protocols:
            raise UnsafeContent(
                f"The address of a submodule asks for the transport {address.protocol!r}, which is not allowed here.",
                where=shown,
            )


def _bring_large_files(git: Git, folder: Path) -> None:
    """Replace the pointers of Git LFS by the files they stand for, here and in the submodules."""
    for repository in (folder, *_submodule_folders(folder)):
        pointers = _pointers(git, repository)
        if not pointers:
            continue
        _need_lfs(git, pointers[0])
        _check_lfs_address(git, repository)
        try:
            git.remote("-C", str(repository), "lfs", "pull", settings=_LFS)
        except ProgramFailed as failed:
            raise _lfs_failure(git, failed.said) from failed
        if left := _pointers(git, repository):
            raise SourceFailed(
                f"{len(left)} large files did not come, {left[0]} among them.",
                where=git.name,
                fix="Check that the repository's LFS server still has them.",
            )
        _forget_copies(git, repository)


def _submodule_folders(folder: Path) -> list[Path]:
    return sorted(
        entry.parent for entry in folder.rglob(".git") if entry.is_file() and not entry.is_symlink()
    )


def _pointers(git: Git, repository: Path) -> list[str]:
    """The files that are said to be in LFS and are only pointers so far."""
    if not any(repository.rglob(".gitattributes")):
        return []
    here = ("-C", str(repository))
    names = [name for name in git.local(*here, "ls-files", "-z").split("\0") if name]
    small = [name for name in names if _is_pointer(repository / name)]
    return [name for name in small if _is_in_lfs(git, here, name)]


def _is_pointer(file: Path) -> bool:
    try:
        if file.is_symlink() or not file.is_file() or file.stat().st_size > _LARGEST_POINTER:
            return False
        return file.read_bytes().startswith(_POINTER)
    except OSError:
        return False


def _is_in_lfs(git: Git, here: tuple[str, str], name: str) -> bool:
    said = git.local(*here, "check-attr", "-z", "filter", "--", name)
    return said.split("\0")[2:3] == ["lfs"]


def _need_lfs(git: Git, file: str) -> None:
    try:
        program("git-lfs", git.network)
    except ToolMissing as missing:
        raise ToolMissing(
            "The repository keeps large files in Git LFS, and git-lfs is not installed.",
            where=f"{git.name}: {file}",
            fix="Install git-lfs with the system's package manager.",
        ) from missing


def _check_lfs_address(git: Git, repository: Path) -> None:
    """A repository may name its LFS server, but none that reads this machine's files or runs programs."""
    if not (repository / ".lfsconfig").is_file():
        return
    try:
        listed = git.local(
            "-C",
            str(repository),
            "config",
            "--null",
            "--file",
            ".lfsconfig",
            "--get-regexp",
            r"^(remote\..*\.)?lfs\.?url$",
        )
    except ProgramFailed:  # the file names no server
        return
    for line in filter(None, listed.split("\0")):
        scheme = urlsplit(line.partition("\n")[2]).scheme
        if scheme not in ("https", "http", "ssh") and scheme not in git.protocols:
            raise UnsafeContent(
                "The LFS server's address is none git should follow.", where=f"{git.name}: .lfsconfig"
            )


def _lfs_failure(git: Git, said: str) -> Exception:
    if is_temporary(said):
        return explain(said, git.name)
    told = _LFS_ANSWER.search(said)
    return SourceFailed(
        f"The large files in Git LFS could not be fetched: {told[1] if told else last_words(said)}",
        where=git.name,
        fix="The owner may have to renew the quota of the LFS server, or give access to it.",
    )


def _forget_copies(git: Git, repository: Path) -> None:
    """The files are in place; git-lfs's second copy would only double the checkout."""
    storage = Path(git.local("-C", str(repository), "rev-parse", "--absolute-git-dir").strip())
    shutil.rmtree(storage / "lfs", ignore_errors=True)
