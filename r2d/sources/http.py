"""HTTP as fetching needs it: patient with what is temporary, strict with what is not, in constant memory."""

import email.utils
import hashlib
import json
import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urljoin, urlsplit, urlunsplit

from r2d.errors import ContentDamaged, ContentTooLarge, R2DError, SourceNotFound, TemporaryFailure
from r2d.events import Emit, Transferred, Warned
from r2d.sources.protocol import Network

# `requests` costs a tenth of a second: only a fetch pays it.
if TYPE_CHECKING:
    import requests

_T = TypeVar("_T")

_CHUNK = 1 << 20
_MOST_REDIRECTS = 10
_SECONDS_BETWEEN_EVENTS = 0.25
_TEMPORARY = frozenset({429, 500, 502, 503, 504})
_LARGEST_DOCUMENT = 64 << 20
LARGEST_DOWNLOAD = 64 << 30


@dataclass(frozen=True)
class Clock:
    """Time, as far as waiting needs it; tests hand in one that does not wait."""

    pause: Callable[[float], None] = time.sleep
    elapsed: Callable[[], float] = time.monotonic
    chance: Callable[[], float] = random.random  # spreads the retries of many builds


REAL_TIME = Clock()


@dataclass(frozen=True)
class Patience:
    """How often and how long to try again."""

    attempts: int = 5
    first_pause: float = 1.0
    longest_pause: float = 60.0  # also the longest Retry-After that is honoured


USUAL_PATIENCE = Patience()


@dataclass(frozen=True)
class Checksum:
    """What a service says of a file's bytes: `Checksum("md5", "9e10…")`."""

    algorithm: str
    digest: str

    @classmethod
    def parse(cls, algorithm: str | None, digest: str | None) -> "Checksum | None":
        """A checksum this Python can verify, or none."""
        name = (algorithm or "").lower().replace("-", "")
        known = name in {"md5", "sha1", "sha256", "sha384", "sha512"} and digest
        return cls(name, digest.strip().lower()) if known and digest else None


@dataclass(frozen=True)
class Downloaded:
    """A file that arrived whole."""

    path: Path
    size: int
    sha256: str
    url: str  # where it came from in the end


@dataclass(frozen=True)
class _Answer:
    """A response whose status is a success."""

    response: "requests.Response"
    url: str


@dataclass(frozen=True)
class Web:
    """One fetch's view of the web: its proxies, its CA, its replaced addresses, its patience."""

    network: Network
    emit: Emit
    clock: Clock = REAL_TIME
    patience: Patience = USUAL_PATIENCE
    headers: Mapping[str, str] = field(default_factory=lambda: {"User-Agent": "r2d"})

    def document(self, url: str, *, method: str = "GET", token: str | None = None) -> Any:
        """The JSON document at an address. POST is only for requests that are safe to repeat."""
        return self._patiently(url, lambda: self._document_once(url, method, token))

    def document_if_there(self, url: str) -> Any | None:
        """The JSON document at an address, or None where the service knows none."""
        return self._patiently(url, lambda: self._document_once(url, "GET", None, absent_is_fine=True))

    def final_address(self, url: str) -> str:
        """Where an address leads after its redirects."""

        def once() -> str:
            with self._open(url) as answer:
                return answer.url

        return self._patiently(url, once)

    def download(
        self,
        url: str,
        to: Path,
        *,
        what: str,
        checksum: Checksum | None = None,
        size: int | None = None,
        largest: int = LARGEST_DOWNLOAD,
        token: str | None = None,
        refuse: Callable[[Mapping[str, str]], Exception | None] = lambda _headers: None,
    ) -> Downloaded:
        """The file at an address, verified; what does not arrive whole is fetched again and never left behind.

        `refuse` sees the headers and may know that this is not the file yet.
        """
        if size is not None and size > largest:
            raise _too_large(what, url, largest)

        def once() -> Downloaded:
            with self._open(url, token=token, headers={"Accept-Encoding": "identity"}) as answer:
                if refusal := refuse(answer.response.headers):
                    raise refusal
                return self._save(answer, to, what=what, checksum=checksum, size=size, largest=largest)

        try:
            return self._patiently(url, once)
        except BaseException:
            to.unlink(missing_ok=True)
            raise

    # --- one attempt

    def _document_once(
        self, url: str, method: str, token: str | None, *, absent_is_fine: bool = False
    ) -> Any:
        accepted = (404,) if absent_is_fine else ()
        with self._open(
            url, method=method, token=token, headers={"Accept": "application/json"}, accepted=accepted
        ) as answer:
            if answer.response.status_code == 404:
                return None
            body = bytearray()
            for chunk in answer.response.iter_content(_CHUNK):
                body += chunk
                if len(body) > _LARGEST_DOCUMENT:
                    raise _too_large("the answer", url, _LARGEST_DOCUMENT)
        try:
            return json.loads(body)
        except (ValueError, RecursionError) as error:
            raise SourceNotFound(
                "The answer is no JSON: this address is not the service it seems to be.",
                where=_public(url),
                fix="Check the address; behind a login page or a proxy, check that too.",
            ) from error

    def _save(
        self,
        answer: _Answer,
        to: Path,
        *,
        what: str,
        checksum: Checksum | None,
        size: int | None,
        largest: int,
    ) -> Downloaded:
        declared = answer.response.headers.get("Content-Length", "")
        total = int(declared) if declared.isdecimal() else size
        if total is not None and total > largest:
            raise _too_large(what, answer.url, largest)
        sha256 = hashlib.sha256()
        promised = hashlib.new(checksum.algorithm, usedforsecurity=False) if checksum else None
        done, told = 0, self.clock.elapsed()
        with to.open("wb") as file:
            # The bytes as they are sent: what is asked for unencoded and marked gzip is a .gz file.
            for chunk in answer.response.raw.stream(_CHUNK, decode_content=False):
                done += len(chunk)
                if done > largest:
                    raise _too_large(what, answer.url, largest)
                file.write(chunk)
                sha256.update(chunk)
                if promised:
                    promised.update(chunk)
                if self.clock.elapsed() - told >= _SECONDS_BETWEEN_EVENTS:
                    told = self.clock.elapsed()
                    self.emit(Transferred(what, done, total))
        self.emit(Transferred(what, done, total if total is not None else done))
        if size is not None and done != size:
            raise _Incomplete(f"{what} has {done} bytes instead of {size}.")
        if checksum and promised and promised.hexdigest() != checksum.digest:
            raise _Altered(f"{what} does not have the {checksum.algorithm} checksum its origin states.")
        return Downloaded(to, done, sha256.hexdigest(), answer.url)

    @contextmanager
    def _open(
        self,
        url: str,
        *,
        method: str = "GET",
        token: str | None = None,
        headers: Mapping[str, str] = {},
        accepted: tuple[int, ...] = (),
    ) -> Iterator[_Answer]:
        """A successful response, redirects followed; each hop is held to the same rules."""
        import requests

        origin, here = origin_of(url), url
        with requests.Session() as session:
            # The environment was handed in; a .netrc or a variable of this process must not count.
            session.trust_env = False
            for _hop in range(_MOST_REDIRECTS):
                sent = {**self.headers, **headers}
                # A token belongs to the host it was given for, and to no other.
                if token and origin_of(here) == origin:
                    sent["Authorization"] = f"Bearer {token}"
                address = self._replaced(here)
                response = session.request(
                    method,
                    address,
                    headers=sent,
                    timeout=self.network.timeout,
                    proxies=_proxies(self.network.environment, address),
                    verify=_trusted(self.network),
                    stream=True,
                    allow_redirects=False,
                )
                with response:
                    if not response.is_redirect:
                        if response.status_code not in accepted:
                            _raise_for(response, here)
                        yield _Answer(response, here)
                        return
                    here = _next_hop(here, response.headers["Location"])
                    if response.status_code in (301, 302, 303):
                        method = "GET"
        raise SourceNotFound(
            "The address redirects in circles.", where=_public(url), fix="Check the address."
        )

    def _replaced(self, url: str) -> str:
        """The address to ask really, where a mirror or a test stands in for a service."""
        replacement = self.network.endpoints.get(origin_of(url))
        if replacement is None:
            return url
        rest = urlsplit(url)
        return replacement.rstrip("/") + urlunsplit(("", "", rest.path, rest.query, ""))

    # --- many attempts

    def _patiently(self, url: str, once: Callable[[], _T]) -> _T:
        """The outcome of the first attempt that does not fail for a passing reason."""
        for attempt in range(1, self.patience.attempts + 1):
            try:
                return self._at_the_border(url, once)
            except _Passing as passing:
                pause = self._pause_before(attempt + 1, passing)
                if attempt == self.patience.attempts or pause is None:
                    raise passing.in_the_end(_public(url)) from passing
                self.emit(Warned(f"{passing.problem} Trying again in {pause:.0f} s."))
                self.clock.pause(pause)
        raise AssertionError("patience is at least one attempt")

    def _pause_before(self, attempt: int, passing: "_Passing") -> float | None:
        """Seconds to wait, doubled each time and spread; None when the service asks for more than we give."""
        if passing.retry_after is not None:
            return passing.retry_after if passing.retry_after <= self.patience.longest_pause else None
        longest = min(self.patience.first_pause * 2.0 ** (attempt - 2), self.patience.longest_pause)
        return longest * (0.5 + self.clock.chance() / 2)

    def _at_the_border(self, url: str, once: Callable[[], _T]) -> _T:
        """Foreign exceptions end here."""
        import requests
        import urllib3

        try:
            return once()
        except requests.exceptions.SSLError as error:
            raise SourceNotFound(
                f"There is no trusted connection: {_reason(error)}.",
                where=_public(url),
                fix="Behind a firewall that inspects traffic, give r2d its CA bundle (SSL_CERT_FILE).",
            ) from error
        except requests.exceptions.ProxyError as error:
            raise _Unreachable(f"The proxy does not answer: {_reason(error)}.") from error
        except (
            requests.exceptions.ConnectionError,
            requests.exceptions.Timeout,
            requests.exceptions.ChunkedEncodingError,
            urllib3.exceptions.ProtocolError,
            urllib3.exceptions.TimeoutError,
        ) as error:
            host = urlsplit(url).hostname
            raise _Unreachable(
                f"{host} does not answer, or stopped in the middle: {_reason(error)}."
            ) from error
        except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError, UnicodeError) as error:
            raise SourceNotFound(
                f"This address cannot be asked: {_reason(error)}.",
                where=_public(url),
                fix="Check the address.",
            ) from error


# --- failures that pass


class _Passing(Exception):
    """An attempt failed for a reason that may be gone the next time."""

    def __init__(self, problem: str, retry_after: float | None = None) -> None:
        super().__init__(problem)
        self.problem = problem
        self.retry_after = retry_after

    def in_the_end(self, where: str) -> R2DError:
        """What it is once patience is exhausted."""
        wait = f" It asks to wait {self.retry_after:.0f} s." if self.retry_after else ""
        return TemporaryFailure(self.problem + wait, where=where, fix="Try again later.")


class _Unreachable(_Passing):
    """Nobody answered, or not to the end."""


class _Incomplete(_Passing):
    """Fewer or more bytes than announced."""


class _Altered(_Passing):
    """All bytes, and not the right ones: worth one more try, but no outage."""

    def in_the_end(self, where: str) -> R2DError:
        return ContentDamaged(
            self.problem,
            where=where,
            fix="The service's copy is damaged, or something on the way changes it.",
        )


def _raise_for(response: "requests.Response", url: str) -> None:
    status, host = response.status_code, urlsplit(url).hostname
    if status in _TEMPORARY:
        raise _Passing(f"{host} answers {status}.", _retry_after(response.headers))
    if status in (401, 403):
        raise SourceNotFound(
            f"{host} refuses access ({status}): this is private, restricted or needs a login.",
            where=_public(url),
            fix="Ask its owner to make it public, or download it yourself and give r2d the folder.",
        )
    if status in (404, 410):
        gone = "does not exist" if status == 404 else "existed and was removed"
        raise SourceNotFound(
            f"{host} says that this {gone} ({status}).", where=_public(url), fix="Check the address."
        )
    if status >= 400 or status in (204, 205, 304):
        raise SourceNotFound(f"{host} answers {status}.", where=_public(url), fix="Check the address.")


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds; a date counts from the answer's own Date, so that no clock of this machine is read."""
    asked = headers.get("Retry-After", "").strip()
    if asked.isdecimal():
        return float(asked)
    try:
        until = email.utils.parsedate_to_datetime(asked)
        now = email.utils.parsedate_to_datetime(headers.get("Date", ""))
        return max(0.0, (until - now).total_seconds())
    except (ValueError, TypeError):
        return None


def _too_large(what: str, url: str, largest: int) -> R2DError:
    return ContentTooLarge(
        f"{what} is larger than {largest >> 20} MiB, the most r2d fetches.",
        where=_public(url),
        fix="Download it yourself, keep what the environment needs, and give r2d the folder.",
    )


# --- addresses


def origin_of(url: str) -> str:
    """The scheme, host and port of an address, without credentials: "https://zenodo.org"."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2].lower()
    default = {"http": ":80", "https": ":443"}.get(parts.scheme.lower(), ":")
    return f"{parts.scheme.lower()}://{host.removesuffix(default)}"


def _next_hop(here: str, location: str) -> str:
    following = urljoin(here, location)
    scheme = urlsplit(following).scheme
    if scheme not in ("http", "https") or (scheme == "http" and urlsplit(here).scheme == "https"):
        raise SourceNotFound(
            f"The address redirects to {scheme or 'no'}:, which r2d does not follow from here.",
            where=_public(here),
            fix="Give the address it leads to, if you trust it.",
        )
    return following


def _public(url: str) -> str:
    """The address without what may be a secret: credentials and the query."""
    return origin_of(url) + urlsplit(url).path


def _reason(error: BaseException) -> str:
    """The innermost cause, on one line; the libraries' own words repeat the address with its query."""
    while (inner := getattr(error, "reason", None) or error.__cause__ or error.__context__) and isinstance(
        inner, BaseException
    ):
        error = inner
    return " ".join(f"{type(error).__name__} {getattr(error, 'strerror', None) or ''}".split())


def _proxies(environment: Mapping[str, str], url: str) -> dict[str, str]:
    """The proxy for this address, as the handed-in variables say."""

    def named(name: str) -> str | None:
        return environment.get(name) or environment.get(name.upper())

    parts = urlsplit(url)
    if parts.hostname and _exempt(parts.hostname, named("no_proxy") or ""):
        return {}
    proxy = named(f"{parts.scheme}_proxy") or named("all_proxy")
    return {parts.scheme: proxy} if proxy else {}


def _exempt(host: str, no_proxy: str) -> bool:
    """Whether no_proxy names this host, or a domain it belongs to."""
    for entry in (part.strip().lower() for part in no_proxy.split(",")):
        name = entry.rpartition(":")[0] if entry.rpartition(":")[2].isdecimal() else entry
        domain = name.lstrip("*").lstrip(".")
        if name == "*" or (domain and (host == domain or host.endswith(f".{domain}"))):
            return True
    return False


def _trusted(network: Network) -> str | bool:
    if network.ca_bundle:
        return str(network.ca_bundle)
    for name in ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "CURL_CA_BUNDLE"):
        if bundle := network.environment.get(name):
            return bundle
    return True
