"""Launch links of any BinderHub, alone or in a pasted badge: what to build, and the page to open."""

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from r2d.errors import WrongUsage

_LINK = re.compile(r"https?://[^\s<>\"'()\[\]]+(?:\([^\s<>\"'()\[\]]*\)[^\s<>\"'()\[\]]*)*", re.IGNORECASE)
_PROVIDERS = ("gh", "gist", "gl", "git", "zenodo", "figshare", "dataverse", "hydroshare", "ckan")
_REMOTE = re.compile(r"(?:https?|git|ssh)://[^/]|[\w.-]+@[\w.-]+:", re.IGNORECASE)
_RECORD = re.compile(r"(?:doi:)?10\.\d+[\d.]*/|https?://[^/]", re.IGNORECASE)
_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
# There "v2" and "repo" are names of people.
_CODE_HOSTS = frozenset(
    {"github.com", "www.github.com", "gitlab.com", "bitbucket.org", "codeberg.org", "gist.github.com"}
)


@dataclass(frozen=True)
class LaunchLink:
    """What a launch link asks for; `repository` is a text to recognise again."""

    repository: str
    ref: str | None = None
    open_at: str | None = None  # URL-quoted


def recognise(text: str) -> LaunchLink | None:
    """The launch link that the text is, or the first one in a pasted badge."""
    for address in _addresses(text):
        if link := _from_address(address):
            return link
    return None


def refuse_unknown_provider(text: str) -> None:
    """Say of a launch link whose provider r2d does not know that it is one; git would ask the hub for a repository."""
    if text.lower().startswith("git+"):
        return
    for address in _addresses(text):
        try:
            parts = urlsplit(address)
            host = parts.hostname or ""
        except ValueError:
            continue
        found = re.match(r"/v2/([a-z]+)/.", parts.path)
        if found and host not in _CODE_HOSTS and not parts.path.endswith(".git"):
            raise WrongUsage(
                f"r2d knows no provider {found[1]!r} of launch links.",
                where=f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}",
                fix=f"Known are {', '.join(_PROVIDERS)}. If this is a git repository, write git+ before the address.",
            )


def _addresses(text: str) -> Iterator[str]:
    for match in _LINK.finditer(text):
        yield html.unescape(match.group()).rstrip(".,;")


def _from_address(address: str) -> LaunchLink | None:
    try:
        parts = urlsplit(address)
        host = parts.hostname or ""
    except ValueError:
        return None
    # A hub may live below a prefix: https://hub.example/services/binder/v2/gh/…
    found = re.search(r"(?:^|/)v2/([a-z]+)/(.+)$", parts.path)
    if host in _CODE_HOSTS:
        return None
    if found and found[1] in _PROVIDERS:
        spec = found[2].rstrip("/")
        repository, ref = _of_provider(found[1], spec, address)
    elif old := re.fullmatch(r"/repo/([^/]+)/([^/]+)/?", parts.path):
        repository, ref = f"https://github.com/{unquote(old[1])}/{unquote(old[2])}", None
    else:
        return None
    return LaunchLink(repository, ref, _page(parts.query))


def _of_provider(provider: str, spec: str, address: str) -> tuple[str, str | None]:
    pieces = spec.split("/")
    match provider:
        case "gh":
            if len(pieces) < 3:
                raise _incomplete(address, "gh/OWNER/REPOSITORY/REF")
            owner, name = unquote(pieces[0]), unquote(pieces[1]).removesuffix(".git")
            return f"https://github.com/{owner}/{name}", _ref("/".join(pieces[2:]))
        case "gist":
            if len(pieces) < 2:
                raise _incomplete(address, "gist/OWNER/ID/REF")
            gist = f"https://gist.github.com/{unquote(pieces[0])}/{unquote(pieces[1])}"
            return f"{gist}.git", _ref("/".join(pieces[2:]))
        case "gl":
            if len(pieces) < 2:
                raise _incomplete(address, "gl/GROUP%2FPROJECT/REF")
            return f"https://gitlab.com/{unquote(pieces[0])}.git", _ref("/".join(pieces[1:]))
        case "git":
            repository = unquote(pieces[0])
            # A link comes from a stranger: it must not name a folder or a helper program of this machine.
            if len(pieces) < 2 or not _REMOTE.match(repository):
                raise _incomplete(address, "git/QUOTED-ADDRESS/REF")
            return repository, _ref("/".join(pieces[1:]))
        case "hydroshare":
            resource = unquote(spec)
            return resource if "://" in resource else f"https://www.hydroshare.org/resource/{resource}", None
        case _:
            record = unquote(spec)
            if not _RECORD.match(record):
                raise _incomplete(address, f"{provider}/DOI-OR-ADDRESS")
            return record, None


def _ref(quoted: str) -> str | None:
    return unquote(quoted) or None


def _incomplete(address: str, form: str) -> WrongUsage:
    return WrongUsage("This launch link is cut off.", where=address, fix=f"Its path goes on as …/v2/{form}.")


def _page(query: str) -> str | None:
    """The page below the server's root that the link wants to see."""
    asked = dict(parse_qsl(query))
    if page := asked.get("urlpath"):
        return _quoted(page.lstrip("/")) or None
    for option, place in (("labpath", "doc/tree"), ("filepath", "tree")):
        if path := asked.get(option):
            return f"{place}/{quote(path.lstrip('/'), errors='surrogateescape')}"
    return None


def _quoted(page: str) -> str:
    """A path, or a path with a query, as a URL writes it; what is quoted already stays as it is."""
    path, mark, rest = page.partition("?")
    query, hash_sign, fragment = rest.partition("#")
    return f"{_kept(path, '/')}{mark}{_kept(query, '/?')}{hash_sign}{_kept(fragment, '/?')}"


def _kept(text: str, separators: str) -> str:
    whole = _BROKEN_ESCAPE.sub("%25", text)
    return quote(whole, safe=f"%:@!$&'()*+,;=~{separators}", errors="surrogateescape")
