"""What the address bar says on GitHub, GitLab, Bitbucket, Gitea and gists: repository, ref and folder."""

import re
from dataclasses import dataclass
from urllib.parse import parse_qs, unquote, urlsplit

from r2d.errors import SourceNotFound


@dataclass(frozen=True)
class WebAddress:
    """A page of a hosting site, read as a repository in a certain state."""

    url: str  # what git can fetch
    ref: str | None = None
    tail: str | None = None  # a ref and a folder that only the list of refs can tell apart
    is_file: bool = False  # the tail ends in a file, which is to be opened, not in a folder to build


def read(url: str) -> WebAddress | None:
    """The repository that a page belongs to; None where the address is none of a known form."""
    split = urlsplit(url)
    host = (split.hostname or "").removeprefix("www.")
    # Only the path's parts may be encoded: a slash inside a part is one of a branch's name.
    parts = [unquote(part) for part in split.path.split("/") if part]
    site = f"{split.scheme}://{split.netloc}"
    if host == "gist.github.com":
        return _gist(site, parts)
    if host == "github.com":
        return _github(site, parts, url)
    if host == "bitbucket.org":
        return _bitbucket(site, parts, split.query, url)
    if "-" in parts[2:]:
        return _gitlab(site, parts)
    if parts[:1] == ["projects"] and parts[2:3] == ["repos"]:
        return _bitbucket_server(site, parts, split.query)
    return _gitea(site, parts)


def _repository(site: str, parts: list[str]) -> str:
    return f"{site}/{'/'.join(parts)}"


def _tail(parts: list[str]) -> str:
    return "/".join(parts).strip("/")


def _github(site: str, parts: list[str], url: str) -> WebAddress | None:
    repository = _repository(site, parts[:2])
    match parts[2:]:
        case []:
            return WebAddress(repository) if len(parts) == 2 else None
        case ["tree" | "blob" as kind, _, *_]:
            return WebAddress(repository, tail=_tail(parts[3:]), is_file=kind == "blob")
        case ["pull", _, "commits", commit]:
            return WebAddress(repository, ref=commit)
        case ["pull", number, *_] if number.isdecimal():
            return WebAddress(repository, ref=f"refs/pull/{number}/head")
        case ["commit", commit]:
            return WebAddress(repository, ref=commit)
        case ["commits", *ref] if ref:
            return WebAddress(repository, tail=_tail(ref))
        case ["releases", "tag", *tag] if tag:
            return WebAddress(repository, ref=f"refs/tags/{_tail(tag)}")
    raise _no_state(url, repository)


def _gist(site: str, parts: list[str]) -> WebAddress | None:
    *_, last = parts or [""]
    match [part.removesuffix(".git") for part in parts]:
        case [gist] | [_, gist] if _is_hash(gist):
            return WebAddress(f"{site}/{gist}.git")
        case [_, gist, commit] if _is_hash(gist) and _is_hash(commit):
            return WebAddress(f"{site}/{gist}.git", ref=last)
    return None


def _is_hash(text: str) -> bool:
    return bool(re.fullmatch(r"[0-9a-f]{7,64}", text))


def _gitlab(site: str, parts: list[str]) -> WebAddress | None:
    dash = parts.index("-", 2)
    repository = f"{_repository(site, parts[:dash])}.git"
    match parts[dash + 1 :]:
        case ["tree" | "blob" as kind, _, *_]:
            return WebAddress(repository, tail=_tail(parts[dash + 2 :]), is_file=kind == "blob")
        case ["merge_requests", number, *_] if number.isdecimal():
            return WebAddress(repository, ref=f"refs/merge-requests/{number}/head")
        case ["commit", commit]:
            return WebAddress(repository, ref=commit)
        case ["commits", *ref] if ref:
            return WebAddress(repository, tail=_tail(ref))
        case ["tags" | "releases", *tag] if tag:
            return WebAddress(repository, ref=f"refs/tags/{_tail(tag)}")
    raise _no_state(f"{site}/{'/'.join(parts)}", repository)


def _bitbucket(site: str, parts: list[str], query: str, url: str) -> WebAddress | None:
    repository = _repository(site, parts[:2])
    branch = _at(query)
    match parts[2:]:
        case []:
            return WebAddress(repository) if len(parts) == 2 else None
        case ["src", _, *folder] if branch:
            return WebAddress(repository, tail=_tail([branch, *folder]))
        case ["src", _, *_]:
            return WebAddress(repository, tail=_tail(parts[3:]))
        case ["src"]:
            return WebAddress(repository)
        case ["branch", *ref] if ref:
            return WebAddress(repository, ref=f"refs/heads/{_tail(ref)}")
        case ["commits", "branch", *ref] if ref:
            return WebAddress(repository, ref=f"refs/heads/{_tail(ref)}")
        case ["commits", "tag", *ref] if ref:
            return WebAddress(repository, ref=f"refs/tags/{_tail(ref)}")
        case ["commits", commit]:
            return WebAddress(repository, ref=commit)
        case ["pull-requests", number, *_] if number.isdecimal():
            return WebAddress(repository, ref=f"refs/pull-requests/{number}/from")
    raise _no_state(url, repository)


def _bitbucket_server(site: str, parts: list[str], query: str) -> WebAddress | None:
    if len(parts) < 4:
        return None
    repository = f"{site}/scm/{parts[1].lower()}/{parts[3]}.git"
    match parts[4:]:
        case [] | ["browse"]:
            return WebAddress(repository, ref=_at(query))
        case ["browse", *folder]:
            # Without `at` the page shows the default branch, which the list of refs calls HEAD.
            return WebAddress(repository, tail=_tail([_short(_at(query)) or "HEAD", *folder]))
        case ["commits", commit]:
            return WebAddress(repository, ref=commit)
        case ["pull-requests", number, *_] if number.isdecimal():
            return WebAddress(repository, ref=f"refs/pull-requests/{number}/from")
    return None


def _at(query: str) -> str | None:
    return next(iter(parse_qs(query).get("at", [])), None)


def _short(ref: str | None) -> str | None:
    return ref.removeprefix("refs/heads/").removeprefix("refs/tags/") if ref else None


def _gitea(site: str, parts: list[str]) -> WebAddress | None:
    repository = _repository(site, parts[:2])
    match parts[2:]:
        case ["src", "branch" | "tag", _, *_]:
            return WebAddress(repository, tail=_tail(parts[4:]))
        case ["src", "commit", commit, *folder]:
            return WebAddress(repository, tail=_tail([commit, *folder]))
    return None


def _no_state(url: str, repository: str) -> SourceNotFound:
    return SourceNotFound(
        "This is a page of a repository that shows no state of its files.",
        where=url,
        fix=f"Give {repository}, or its page of a branch, a commit, a tag or a pull request.",
    )
