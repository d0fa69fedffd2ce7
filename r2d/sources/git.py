"""Git repositories: one commit of one repository, and no more of it than is needed."""

import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import quote

from r2d.errors import SourceNotFound, WrongUsage
from r2d.events import Decided, Emit
from r2d.sources import git_address, git_content, git_refs, web_urls
from r2d.sources.git_address import Address, Credentials
from r2d.sources.git_failures import is_unadvertised
from r2d.sources.git_program import Git, ProgramFailed
from r2d.sources.git_refs import ALL_REFS, BRANCH, RemoteRefs, Unresolved, Wanted
from r2d.sources.protocol import Checkout, Network, Source
from r2d.sources.subfolder import normal, within

_ALL_BRANCHES = f"+{BRANCH}*:refs/remotes/origin/*"


@dataclass(frozen=True)
class RecognisedGit:
    """A git repository, and which state of it is meant."""

    address: Address
    ref: str | None = None
    tail: str | None = None  # from a web address: a ref and a folder, not yet told apart
    tail_is_file: bool = False
    only: str = ""  # the folder that will be used: nothing else needs to come
    pauses: tuple[float, ...] = field(default=(1.0, 4.0), compare=False)

    @property
    def name(self) -> str:
        """The address without what is secret in it."""
        return self.address.name

    def fetch(self, into: Path, network: Network, emit: Emit) -> Checkout:
        """The files of the commit, with a small `.git` that knows that commit."""
        git = self._git(into, network, emit)
        with git.told():
            _prepare(git, self.address)
            wanted, refs_known = self._wanted(git)
            folder = "" if self.tail_is_file else wanted.folder
            part = normal("/".join(filter(None, (folder, self.only))))
            _bring(git, wanted, part=part, refs_known=refs_known)
            git_content.check_out(git, wanted, part=part)
        checkout = Checkout(
            folder=into,
            source=_named_in_labels(self.name),
            content=wanted.commit,
            ref=self._asked(),
            temporary=True,
            open_at=f"lab/tree/{quote(wanted.folder)}" if self.tail_is_file and wanted.folder else None,
        )
        return within(checkout, folder)

    def _asked(self) -> str | None:
        return self.tail or self.ref

    def _git(self, into: Path, network: Network, emit: Emit) -> Git:
        # A repository on another machine has no business with the files of this one.
        local = self.address.protocol == "file"
        protocols = tuple(name for name in git_address.PROTOCOLS if local or name != "file")
        return Git(
            folder=into,
            name=self.name,
            network=network,
            emit=emit,
            protocols=protocols,
            credentials=self._credentials(network),
            pauses=self.pauses,
        )

    def _credentials(self, network: Network) -> Credentials | None:
        if self.address.credentials:
            return self.address.credentials
        if network.git_credentials and self.address.server:
            return git_address.handed_over(network.git_credentials, self.address.server)
        return None

    def _wanted(self, git: Git) -> tuple[Wanted, RemoteRefs | None]:
        """The commit that is meant, and the server's refs where it was necessary to ask for them."""
        if self.tail:
            refs = _listing(git, "--symref")
            found = git_refs.resolve_tail(self.tail, refs, where=self.name)
            return self._exact(git, found, self.tail, refs), refs
        if self.ref in (None, "", "HEAD"):
            return _head(git, self.name), None
        assert self.ref is not None  # noqa: S101 (excluded above)
        if git_refs.is_full_hash(self.ref):
            return Wanted(self.ref.lower()), None
        # Most servers have many more refs than branches and tags: one or two per pull request.
        listing = ("--heads", "--tags") if git_refs.is_branch_or_tag(self.ref) else ("--symref",)
        refs = _listing(git, *listing)
        found = git_refs.resolve(self.ref, refs, where=self.name)
        return self._exact(git, found, self.ref, refs), refs

    def _exact(self, git: Git, found: Wanted | Unresolved | None, asked: str, refs: RemoteRefs) -> Wanted:
        match found:
            case Wanted():
                return found
            case Unresolved(short_hash, folder):
                commit = _search_history(git, self.address, short_hash)
                if commit:
                    return Wanted(commit, folder=folder)
        raise git_refs.unknown_ref(
            asked, refs if refs.default else _listing(git, "--symref"), where=self.name
        )


def recognise(text: str, *, ref: str | None, working_folder: Path, subdir: str = "") -> Source | None:
    """The git repository at a URL, an address for ssh, a hosting site's page, or a bare repository's folder."""
    local = working_folder / text
    if "://" not in text and _is_bare(local):
        return recognise_local(local.absolute(), name=text, ref=ref)
    address = git_address.parse(text)
    if address is None:
        return None
    if address.server == address.url:
        raise SourceNotFound("This is a whole site: a repository has a path.", where=address.name)
    page = web_urls.read(address.url) if address.server else None
    if ref:
        git_refs.check_ref(ref.removesuffix("^{commit}"), where=address.name)
    if page is None:
        return RecognisedGit(address, ref=ref or None, only=normal(subdir))
    state = page.ref or page.tail
    if state and ref and ref not in (state, "HEAD"):
        raise WrongUsage(
            f"The address shows {state!r}, and the ref asked for is {ref!r}.",
            where=address.name,
            fix="Give the repository's own address with the ref, or the page's address without.",
        )
    if state:
        git_refs.check_ref(state.rstrip("/") if page.ref else state.split("/")[0], where=address.name)
    there = git_address.parse(page.url)
    assert there is not None  # noqa: S101 (it was made from an address)
    return RecognisedGit(
        replace(there, credentials=address.credentials),
        ref=page.ref or (None if page.tail else ref or None),
        tail=page.tail,
        tail_is_file=page.is_file,
        only="" if page.is_file else normal(subdir),
    )


def recognise_local(path: Path, *, name: str, ref: str | None) -> Source:
    """A repository in a folder, for a state of it that is not the one in the folder."""
    if ref:
        git_refs.check_ref(ref, where=name)
    return RecognisedGit(Address(str(path), name), ref=ref)


def _named_in_labels(name: str) -> str:
    """A repository in a folder is called as folders are: its path would tell of the machine."""
    return name if ":" in name else "local"


def _is_bare(path: Path) -> bool:
    from r2d.sources.folder import is_bare_repository

    try:
        return is_bare_repository(path)
    except (OSError, ValueError):
        return False


def _prepare(git: Git, address: Address) -> None:
    git.local("init", "--quiet", "--template=")
    git.local("config", "remote.origin.url", address.url)
    git.local("config", "remote.origin.fetch", _ALL_BRANCHES)


def _start_again(git: Git, address: Address) -> None:
    shutil.rmtree(git.folder / ".git")
    _prepare(git, address)


def _listing(git: Git, *options: str) -> RemoteRefs:
    return git_refs.parse_refs(git.remote("ls-remote", "--quiet", *options, "origin"))


def _head(git: Git, name: str) -> Wanted:
    refs = git_refs.parse_refs(git.remote("ls-remote", "--quiet", "--symref", "origin", "HEAD"))
    if commit := refs.commits.get("HEAD"):
        return Wanted(commit, refs.default)
    branches = _listing(git, "--heads").branches
    if not branches:
        raise SourceNotFound("The repository is empty: it has no commit.", where=name)
    raise SourceNotFound(
        "The repository's default branch does not exist.",
        where=name,
        fix=f"Ask for a ref: {', '.join(branches[:5])}.",
    )


def _search_history(git: Git, address: Address, short_hash: str) -> str | None:
    """The one commit whose hash begins so, among all that branches and tags lead to."""
    # Commits alone, without the files, where the server can do that.
    git.remote("fetch", "--quiet", "--filter=tree:0", "--tags", "origin", _ALL_BRANCHES)
    try:
        found = git.local("rev-parse", "--verify", "--end-of-options", f"{short_hash}^{{commit}}").strip()
    except ProgramFailed as failed:
        if "ambiguous" in failed.said:
            raise SourceNotFound(
                f"Several commits begin with {short_hash}.", where=git.name, fix="Give more of the hash."
            ) from failed
        return None
    finally:
        _start_again(git, address)
    return found


def _bring(git: Git, wanted: Wanted, *, part: str, refs_known: RemoteRefs | None) -> None:
    """Get the commit in the cheapest way the server allows."""
    # Without a list of files the server sends them all; with one, only those that are checked out.
    lean = ("--filter=blob:none",) if part else ()
    shallow = ("fetch", "--progress", "--depth=1", "--no-tags", *lean, "origin")
    try:
        git.remote(*shallow, wanted.commit)
    except ProgramFailed as failed:
        if not is_unadvertised(failed.said):
            raise
    else:
        return
    if _bring_by_ref(git, wanted, shallow, refs_known or _listing(git, "--symref")):
        return
    _bring_everything(git, wanted)


def _bring_by_ref(git: Git, wanted: Wanted, shallow: tuple[str, ...], refs: RemoteRefs) -> bool:
    names = [wanted.ref] if wanted.ref else []
    names += [name for name, commit in refs.commits.items() if commit == wanted.commit and name != wanted.ref]
    for name in names[:1]:
        try:
            git.remote(*shallow, name)
        except ProgramFailed as failed:
            if not is_unadvertised(failed.said):
                raise
        if _has(git, wanted.commit):  # else the ref has moved meanwhile
            return True
    return False


def _bring_everything(git: Git, wanted: Wanted) -> None:
    git.emit(
        Decided("history", "all of it", because="the server hands out no single commit that is not a ref's")
    )
    git.remote("fetch", "--progress", "--tags", *_unshallow(git), "origin", _ALL_BRANCHES)
    if _has(git, wanted.commit):
        return
    git.remote("fetch", "--progress", "origin", ALL_REFS)
    if not _has(git, wanted.commit):
        raise SourceNotFound(
            f"The repository has no commit {wanted.commit}.",
            where=git.name,
            fix="Check the hash; a commit that no branch leads to may have been removed.",
        )


def _unshallow(git: Git) -> tuple[str, ...]:
    return ("--unshallow",) if (git.folder / ".git" / "shallow").exists() else ()


def _has(git: Git, commit: str) -> bool:
    try:
        git.local("cat-file", "-e", f"{commit}^{{commit}}")
    except ProgramFailed:
        return False
    return True
