"""What a ref means, exactly: one commit of what the server lists, or an error that names the choices."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from r2d.errors import SourceNotFound
from r2d.sources.near_matches import did_you_mean, near_names

BRANCH = "refs/heads/"
TAG = "refs/tags/"
ALL_REFS = "+refs/*:refs/remotes/all/*"  # what to fetch when nothing less will do

_FULL_HASH = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?", re.IGNORECASE)
_SHORT_HASH = re.compile(r"[0-9a-f]{4,39}", re.IGNORECASE)
# What git's own check-ref-format forbids anywhere in a name.
_FORBIDDEN = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|/$|^/|^-|\.lock(?:/|$)|(?:^|/)\.|\.$")


@dataclass(frozen=True)
class RemoteRefs:
    """The refs of a repository: full name → commit, with tags already followed to what they mark."""

    commits: Mapping[str, str]
    default: str | None = None  # the full name HEAD stands for

    @property
    def branches(self) -> tuple[str, ...]:
        """The branches' short names."""
        return tuple(name.removeprefix(BRANCH) for name in self.commits if name.startswith(BRANCH))

    @property
    def tags(self) -> tuple[str, ...]:
        """The tags' short names."""
        return tuple(name.removeprefix(TAG) for name in self.commits if name.startswith(TAG))


@dataclass(frozen=True)
class Wanted:
    """One commit. `ref` is the full name under which the server has it, where it has one."""

    commit: str
    ref: str | None = None
    folder: str = ""  # what followed the ref in a web address


@dataclass(frozen=True)
class Unresolved:
    """A short hash that no ref points at: the history has to say which commit it is."""

    short_hash: str
    folder: str = ""


def parse_refs(listing: str) -> RemoteRefs:
    """The refs in what `git ls-remote --symref` prints."""
    commits: dict[str, str] = {}
    peeled: dict[str, str] = {}
    default = None
    for line in listing.splitlines():
        value, _, name = line.partition("\t")
        if value.startswith("ref: ") and name == "HEAD":
            default = value.removeprefix("ref: ")
        elif name.endswith("^{}"):
            peeled[name.removesuffix("^{}")] = value
        elif name:
            commits[name] = value
    return RemoteRefs(commits | peeled, default)


def is_full_hash(ref: str) -> bool:
    """Whether the text is a complete commit hash, which no listing can change the meaning of."""
    return bool(_FULL_HASH.fullmatch(ref))


def is_short_hash(ref: str) -> bool:
    """Whether the text can be the beginning of a commit hash."""
    return bool(_SHORT_HASH.fullmatch(ref))


def check_ref(ref: str, *, where: str) -> None:
    """Refuse what cannot be the name of a ref, before any program sees it."""
    if _FORBIDDEN.search(ref):
        raise SourceNotFound(
            f"{ref!r} cannot be the name of a branch, a tag or a commit.",
            where=where,
            fix="Give a branch, a tag, a commit's hash or a full name such as refs/heads/main.",
        )


def is_branch_or_tag(ref: str) -> bool:
    """Whether only a branch, a tag or a hash can be meant: no other ref of the server needs to be listed."""
    return not ref.startswith("refs/") and len(full_names(ref)) <= 2 + ref.startswith("origin/")


def full_names(ref: str) -> tuple[str, ...]:
    """The full names a ref as people write it can stand for."""
    names = [f"{BRANCH}{ref}", f"{TAG}{ref}"]
    if ref.startswith("origin/"):
        names.append(BRANCH + ref.removeprefix("origin/"))
    if ref.startswith(("heads/", "tags/", "pull/", "merge-requests/", "pull-requests/")):
        names.append(f"refs/{ref}")
    return (ref,) if ref.startswith("refs/") else tuple(names)


def resolve(ref: str, refs: RemoteRefs, *, where: str) -> Wanted | Unresolved | None:
    """The commit a ref means in this repository; None where nothing has that name."""
    found = {name: refs.commits[name] for name in full_names(ref) if name in refs.commits}
    if len(set(found.values())) > 1:
        raise SourceNotFound(
            f"{ref!r} is the name of several refs that differ: {' and '.join(found)}.",
            where=where,
            fix=f"Write which one you mean: {' or '.join(found)}.",
        )
    if found:
        name, commit = next(iter(found.items()))
        return Wanted(commit, name)
    # A ref of that name goes before a hash, as in git: tags such as 20240131 look like one.
    return _commit(ref.removeprefix("origin/"), refs)


def _commit(ref: str, refs: RemoteRefs) -> Wanted | Unresolved | None:
    if is_full_hash(ref):
        return Wanted(ref.lower(), _pointing_at(ref.lower(), refs))
    if not is_short_hash(ref):
        return None
    tips = {commit for commit in refs.commits.values() if commit.startswith(ref.lower())}
    if len(tips) == 1:
        commit = tips.pop()
        return Wanted(commit, _pointing_at(commit, refs))
    return Unresolved(ref.lower())


def _pointing_at(commit: str, refs: RemoteRefs) -> str | None:
    names = [name for name, value in refs.commits.items() if value == commit and name.startswith("refs/")]
    return next(iter(sorted(names, key=lambda name: not name.startswith(BRANCH))), None)


def resolve_tail(tail: str, refs: RemoteRefs, *, where: str) -> Wanted | Unresolved | None:
    """The ref and folder that a web address writes as one path: the longest beginning that is a ref."""
    parts = tail.split("/")
    for length in range(len(parts), 0, -1):
        ref, folder = "/".join(parts[:length]), "/".join(parts[length:])
        if f"{BRANCH}{ref}" not in refs.commits and f"{TAG}{ref}" not in refs.commits:
            continue
        found = resolve(ref, refs, where=where)
        assert isinstance(found, Wanted)  # noqa: S101 (the name is in the list)
        return Wanted(found.commit, found.ref, folder)
    if parts[0] == "HEAD" and "HEAD" in refs.commits:
        return Wanted(refs.commits["HEAD"], refs.default, "/".join(parts[1:]))
    found = _commit(parts[0], refs)
    match found:
        case Wanted(commit, name):
            return Wanted(commit, name, "/".join(parts[1:]))
        case Unresolved(short_hash):
            return Unresolved(short_hash, "/".join(parts[1:]))
    return None


def unknown_ref(ref: str, refs: RemoteRefs, *, where: str) -> SourceNotFound:
    """The error for a ref that is not there, with what the user may have meant."""
    asked = ref.removeprefix("origin/").removeprefix(BRANCH).removeprefix(TAG)
    near = list(near_names(asked, (*refs.branches, *refs.tags)))
    default = refs.default.removeprefix(BRANCH) if refs.default else None
    if default and asked in ("main", "master", "trunk", "develop"):
        near = []
    hint = did_you_mean(near)
    if default:
        said = f"The default branch is {default!r}; without a ref, that is what is fetched."
        hint = f"{hint} {said}" if hint else said
    return SourceNotFound(f"No branch, tag or commit is called {ref!r}.", where=where, fix=hint)
