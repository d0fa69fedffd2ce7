"""The connection to an engine's HTTP interface; no foreign exception gets past it."""

import errno
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote

from r2d.errors import EngineAbsent, EngineDied, EngineFailed, EngineRefused, EngineTooOld, R2DError

if TYPE_CHECKING:
    import requests

ANSWER_SECONDS = 60  # an engine on a loaded machine may take this long for a small question
CONNECT_SECONDS = 10
_OLDEST_API = "1.39"  # the first whose engines build with BuildKit

Params = Mapping[str, str | Sequence[str]]


@dataclass(frozen=True)
class TlsFiles:
    """The certificates an engine behind TCP wants to see."""

    folder: Path
    verify: bool


@dataclass(frozen=True)
class Answer:
    """What an engine answered to a small question."""

    status: int
    content: Any

    @property
    def ok(self) -> bool:
        """Whether the engine did what was asked; 304 says that nothing was left to do."""
        return self.status < 400

    @property
    def message(self) -> str:
        """The engine's own words about a failure."""
        if isinstance(self.content, dict):
            return str(self.content.get("message") or self.content.get("cause") or self.content)
        return str(self.content or f"HTTP status {self.status}").strip()


class Wire:
    """Requests to one engine."""

    def __init__(
        self, address: str, *, tls: TlsFiles | None = None, config_folder: Path | None = None
    ) -> None:
        """Connect and agree on the version of the interface."""
        self.address = address
        self._answered = False
        with self._border():
            self._client = _client(address, tls, config_folder)
        self._answered = True

    @property
    def api_version(self) -> tuple[int, int]:
        """The version of the interface both sides speak."""
        major, _, minor = self._client.api_version.partition(".")
        return int(major), int(minor)

    def ask(
        self,
        method: Literal["GET", "POST", "DELETE"],
        path: str,
        *,
        params: Params | None = None,
        body: object = None,
        seconds: float | None = ANSWER_SECONDS,
    ) -> Answer:
        """Send a small question and read the whole answer."""
        with self._border():
            response = self._client.request(
                method, self._url(path), params=_params(params), json=body,
                timeout=(CONNECT_SECONDS, seconds),
            )  # fmt: skip
            return Answer(response.status_code, _content(response.content))

    @contextmanager
    def stream(
        self,
        method: Literal["GET", "POST"],
        path: str,
        *,
        params: Params | None = None,
        body: Iterator[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Iterator["Stream"]:
        """Send a body piece by piece, then read the answer as it comes; leaving early closes the connection."""
        sent = None if body is None else _Body(body)
        response = self._send(method, path, params, headers, sent)
        try:
            yield Stream(response, self._border)
        finally:
            response.close()

    def _send(
        self,
        method: str,
        path: str,
        params: Params | None,
        headers: Mapping[str, str] | None,
        sent: "_Body | None",
    ) -> "requests.Response":
        try:
            with self._border():
                response: requests.Response = self._client.request(
                    method, self._url(path), params=_params(params), headers=dict(headers or {}),
                    data=sent, stream=True, timeout=(CONNECT_SECONDS, None),
                )  # fmt: skip
                return response
        except R2DError:
            # A context that cannot be read is no fault of the connection, though it surfaces as one.
            if sent is not None and sent.failure is not None:
                raise sent.failure from None
            raise

    def credentials_for(self, image: str) -> str | None:
        """The header with the user's credentials for the registry of this image, if there are any."""
        from docker import auth

        with self._border():
            registry, _ = auth.resolve_repository_name(image)
            return _as_header(auth.get_config_header(self._client, registry))

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()

    def _url(self, path: str) -> str:
        return f"{self._client.base_url}/v{self._client.api_version}{quote(path, safe='/:@')}"

    @contextmanager
    def _border(self) -> Iterator[None]:
        import requests
        import urllib3
        from docker.errors import DockerException

        try:
            yield
        except R2DError:
            raise
        except (requests.RequestException, urllib3.exceptions.HTTPError, DockerException, OSError) as error:
            raise _told(error, self.address, answered=self._answered) from error


class Stream:
    """An answer that comes piece by piece."""

    def __init__(
        self, response: "requests.Response", border: Callable[[], AbstractContextManager[None]]
    ) -> None:
        self._response = response
        self._border = border

    def refusal(self) -> Answer | None:
        """The engine's answer when it refused outright, else None."""
        if self._response.status_code < 400:
            return None
        with self._border():
            return Answer(self._response.status_code, _content(self._response.content))

    def records(self) -> Iterator[dict[str, Any]]:
        """The JSON objects of the answer, each as soon as it is complete."""
        for line in self._lines():
            if line.strip():
                yield _record(line)

    def frames(self) -> Iterator[tuple[int, bytes]]:
        """The multiplexed output of a container: (1 for stdout or 2 for stderr, bytes)."""
        while header := self._read(8):
            if len(header) < 8:
                return
            payload = self._read(int.from_bytes(header[4:], "big"))
            yield header[0], payload

    def _lines(self) -> Iterator[bytes]:
        unended = b""
        pieces = self._response.iter_content(chunk_size=None)
        while piece := self._next(pieces):
            *lines, unended = (unended + piece).split(b"\n")
            yield from lines
        yield unended

    def _next(self, pieces: Iterator[bytes]) -> bytes:
        with self._border():
            return next(pieces, b"")

    def _read(self, size: int) -> bytes:
        content = b""
        with self._border():
            while len(content) < size and (piece := self._response.raw.read(size - len(content))):
                content += piece
        return content


class _Body:
    """A body in pieces that remembers why it broke off."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self.failure: Exception | None = None

    def __iter__(self) -> Iterator[bytes]:
        try:
            # An empty piece would end a chunked body.
            yield from (piece for piece in self._pieces if piece)
        except Exception as error:
            self.failure = error
            raise


def _client(address: str, tls: TlsFiles | None, config_folder: Path | None) -> Any:
    import docker
    from docker.tls import TLSConfig

    certificates: TLSConfig | bool = False
    if tls:
        own, key, ca = (tls.folder / name for name in ("cert.pem", "key.pem", "ca.pem"))
        certificates = TLSConfig(
            client_cert=(str(own), str(key)) if own.exists() else None,
            ca_cert=str(ca) if ca.exists() else None,
            verify=tls.verify,
        )

    def speaking(version: str) -> Any:
        client = docker.APIClient(
            base_url=address, version=version, tls=certificates, timeout=ANSWER_SECONDS, use_ssh_client=True
        )
        # The environment's proxies and CA bundles are meant for the outside, and would displace the engine's own CA.
        client.trust_env = False
        return client

    asking = speaking(_OLDEST_API)
    version = asking.version(api_version=False)
    asking.close()
    if not isinstance(version, dict) or "ApiVersion" not in version:
        raise EngineAbsent(f"What answers at {address} is no container engine.", fix="Run `r2d doctor`.")
    client = speaking(str(version["ApiVersion"]))
    if config_folder:
        client.reload_config(str(config_folder / "config.json"))
    return client


def _told(error: Exception, address: str, *, answered: bool) -> R2DError:
    from docker.errors import InvalidVersion

    text = _words(error)
    numbers = {link.errno for link in _chain(error) if isinstance(link, OSError)}
    if numbers & {errno.EACCES, errno.EPERM}:
        return EngineRefused(
            f"This user may not talk to the engine at {address}.",
            fix="Join the engine's group (`sudo usermod -aG docker $USER`, then log in again), or use rootless Podman: "
            "r2d --engine podman …",
        )
    if "paramiko" in text:
        return EngineAbsent(
            f"The engine at {address} is reached over SSH, and the Python package for it is not installed.",
            fix="pip install 'docker[ssh]'",
        )
    if answered:
        return EngineDied(
            f"The engine at {address} stopped answering: {text}",
            fix="Look whether it still runs (`r2d doctor`), then start again: finished steps are cached.",
        )
    if "server gave http response to https" in text.lower() or "ssl" in text.lower():
        return EngineRefused(
            f"The engine at {address} and r2d do not agree on TLS: {text}",
            fix="Check DOCKER_TLS_VERIFY and DOCKER_CERT_PATH.",
        )
    if isinstance(error, InvalidVersion):
        return EngineTooOld(f"The engine at {address} is not understood: {text}", fix="Run `r2d doctor`.")
    return EngineAbsent(f"No container engine answers at {address}: {text}", fix="Run `r2d doctor`.")


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An exception and all that led to it: `requests` and `urllib3` wrap one another in three ways."""
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        link = waiting.pop()
        if link is None or id(link) in seen:
            continue
        seen.add(id(link))
        yield link
        inner = [
            part for part in (*link.args, getattr(link, "reason", None)) if isinstance(part, BaseException)
        ]
        waiting += [link.__cause__, link.__context__, *inner]


def _words(error: Exception) -> str:
    """The innermost reason: outer ones only say that something was aborted."""
    reasons = [link for link in _chain(error) if isinstance(link, OSError) and link.strerror]
    if reasons:
        return str(reasons[-1].strerror)
    return str(error) or type(error).__name__


def _params(params: Params | None) -> dict[str, str | list[str]]:
    return {
        name: value if isinstance(value, str) else list(value)
        for name, value in (params or {}).items()
        if value
    }


def _content(raw: bytes) -> Any:
    text = raw.decode("utf-8", "replace")
    try:
        return json.loads(text) if text.strip() else None
    except ValueError:
        return text


def _record(line: bytes) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except ValueError as error:
        shown = line[:200].decode("utf-8", "replace")
        raise EngineFailed(f"The engine answered with something that is no JSON: {shown}") from error
    return record if isinstance(record, dict) else {}


def _as_header(header: bytes | str | None) -> str | None:
    return header.decode("ascii") if isinstance(header, bytes) else header
