"""Where a git repository is: the address git gets, what it is called, and the credentials that were written into it."""

import re
from dataclasses import dataclass, field
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from r2d.errors import InvalidConfiguration, SourceNotFound, UnsafeContent
from r2d.sources.near_matches import did_you_mean

PROTOCOLS = ("https", "http", "ssh", "git", "file")

_SCP = re.compile(
    r"(?:(?P<user>[A-Za-z0-9_][\w.+-]*)@)?(?P<host>[A-Za-z0-9_][\w.-]*):(?P<path>(?!/?/)\S+|/\S+)"
)
# How other tools abbreviate a site. An ssh host of such a name is still reached as user@gh:path.
_SITES = {"gh": "github.com", "github": "github.com", "gl": "gitlab.com", "gitlab": "gitlab.com"}
_HELPER_TRANSPORT = re.compile(r"[A-Za-z0-9+.-]*::")
_UNPRINTABLE = re.compile(r"[\x00-\x20\x7f]")


@dataclass(frozen=True)
class Credentials:
    """A name and a password, and the one server they are for."""

    server: str  # scheme and host
    username: str | None = field(repr=False)
    password: str | None = field(repr=False)

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must never be seen, in every way it may be written; a name may be a token too."""
        plain = [text for text in (self.password, self.username if not self.password else None) if text]
        return tuple(dict.fromkeys([*plain, *(quote(text, safe="") for text in plain)]))


@dataclass(frozen=True)
class Address:
    """A repository git can fetch from."""

    url: str  # never holds a secret
    name: str
    credentials: Credentials | None = field(default=None, repr=False)

    @property
    def protocol(self) -> str:
        """One of PROTOCOLS."""
        scheme, separator, _ = self.url.partition("://")
        if separator:
            return scheme
        return "file" if self.url.startswith("/") else "ssh"

    @property
    def server(self) -> str | None:
        """Scheme and host, as git's credential settings write them; None where no password is ever asked."""
        split = urlsplit(self.url)
        return f"{split.scheme}://{split.netloc}" if split.scheme in ("http", "https") else None


def parse(text: str) -> Address | None:
    """The address in a URL or in the `user@host:path` form; None where it is neither."""
    if _HELPER_TRANSPORT.match(text):
        raise UnsafeContent(
            "This form runs a program of the address's choice instead of fetching.",
            where=text.partition("::")[0] + "::",
            fix=f"Use one of {', '.join(PROTOCOLS)}.",
        )
    if "://" in text:
        return _url(text)
    if (match := _SCP.fullmatch(text)) and not match["path"].startswith("-"):
        if not match["user"] and (site := _SITES.get(match["host"].lower())):
            raise SourceNotFound(
                "r2d knows no abbreviations of sites.",
                where=text,
                fix=did_you_mean([f"https://{site}/{match['path'].strip('/')}"]),
            )
        # `C:\folder` and `name:tag` of one letter are no hosts.
        return (
            Address(text, text) if match["user"] or _looks_like_host(match["host"], match["path"]) else None
        )
    return None


def _looks_like_host(host: str, path: str) -> bool:
    return "." in host or host == "localhost" or path.endswith(".git") or (len(host) > 1 and "/" in path)


def _url(text: str) -> Address | None:
    scheme, _, rest = text.partition("://")
    scheme = scheme.lower().removeprefix("git+")
    if not re.fullmatch(r"[a-z][a-z0-9+.-]*", scheme):
        return None
    shown = f"{scheme}://{_without_user(rest)}"
    if scheme not in PROTOCOLS:
        raise SourceNotFound(
            f"r2d fetches nothing by {scheme}.", where=shown, fix=f"Use one of {', '.join(PROTOCOLS)}."
        )
    if _UNPRINTABLE.search(rest):
        raise SourceNotFound("An address holds no spaces or control characters.", where=shown)
    if scheme == "file":
        return Address(f"file://{rest}", f"file://{rest}") if rest.startswith(("/", "localhost/")) else None
    return _remote(scheme, rest, shown)


def _remote(scheme: str, rest: str, shown: str) -> Address:
    try:
        split = urlsplit(f"{scheme}://{rest}")
        host, port = split.hostname, split.port
    except ValueError as error:
        raise SourceNotFound("This address cannot be understood.", where=shown) from error
    if not host or host.startswith("-"):
        raise SourceNotFound("This address lacks its host.", where=shown)
    bracketed = f"[{host}]" if ":" in host else host
    netloc = f"{bracketed}:{port}" if port else bracketed
    path = split.path.rstrip("/")
    name = urlunsplit((scheme, netloc, path, "", ""))
    user = unquote(split.username) if split.username else None
    if scheme == "ssh":
        at = f"{split.username}@" if split.username else ""
        if user and user.startswith("-"):
            raise SourceNotFound("No user's name begins with a dash.", where=shown)
        return Address(urlunsplit((scheme, f"{at}{netloc}", path, "", "")), name)
    url = urlunsplit((scheme, netloc, path, split.query, ""))
    password = unquote(split.password) if split.password else None
    if not user and not password:
        return Address(url, name)
    return Address(url, name, _credentials(f"{scheme}://{netloc}", user, password, where=name))


def _credentials(server: str, user: str | None, password: str | None, *, where: str) -> Credentials:
    if re.search(r"[\x00\r\n]", f"{user}{password}"):
        raise SourceNotFound("The credentials in the address hold a line break.", where=where)
    return Credentials(server, user, password)


def _without_user(rest: str) -> str:
    authority, slash, path = rest.partition("/")
    return f"{authority.rpartition('@')[2]}{slash}{path}"


def handed_over(text: str, server: str) -> Credentials:
    """The credentials in GIT_CREDENTIAL_ENV, whose line breaks are written as backslash and n."""
    lines = text.replace("\\n", "\n").splitlines()
    pairs = dict(line.partition("=")[::2] for line in lines if "=" in line)
    if not pairs.get("password"):
        raise InvalidConfiguration(
            "The credentials for git hold no password.",
            where="GIT_CREDENTIAL_ENV",
            fix=r"Write it as username=NAME\npassword=PASSWORD, with a backslash and an n between the two.",
        )
    return Credentials(server, pairs.get("username"), pairs["password"])
