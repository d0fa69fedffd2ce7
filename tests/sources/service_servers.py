"""A real HTTP server on the loopback that answers as it is told, one server for all services."""

import contextlib
import hashlib
import http.server
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Reply:
    """One answer. `cut` closes the connection after so many bytes of the body."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None


@dataclass(frozen=True)
class Asked:
    """One request."""

    method: str
    path: str
    headers: dict[str, str]


Answer = Reply | Callable[[Asked], Reply]


def document(content: Any, status: int = 200, **headers: str) -> Reply:
    """An answer in JSON."""
    return Reply(json.dumps(content).encode(), status, {"Content-Type": "application/json", **headers})


def redirect(to: str, status: int = 302) -> Reply:
    """An answer that sends elsewhere."""
    return Reply(status=status, headers={"Location": to})


def md5(content: bytes) -> str:
    """What most services state of a file."""
    return hashlib.md5(content).hexdigest()


class Service:
    """Answers by path and query; several answers to one path are given one after the other, the last for ever."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self._answers: dict[str, list[Answer]] = {}
        self.url = ""

    def answers(self, path: str, *answers: Answer) -> None:
        """Say what is at a path (with its query, if that matters)."""
        self._answers[path] = list(answers)

    @property
    def paths(self) -> list[str]:
        """What was asked, in order."""
        return [asked.path for asked in self.asked]

    def reply_to(self, asked: Asked) -> Reply:
        """The next answer for a request."""
        self.asked.append(asked)
        answers = self._answers.get(asked.path) or self._answers.get(asked.path.partition("?")[0])
        if not answers:
            return Reply(b"not here", 404)
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        return answer if isinstance(answer, Reply) else answer(asked)


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    service: Service

    def do_GET(self) -> None:
        reply = self.service.reply_to(Asked(self.command, self.path, dict(self.headers)))
        self.send_response_only(reply.status)  # no Date but the one a test gives
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        with contextlib.suppress(ConnectionError):
            self.wfile.write(reply.body if reply.cut is None else reply.body[: reply.cut])
        if reply.cut is not None:
            self.close_connection = True

    do_POST = do_GET  # noqa: N815 the name the base class looks for

    def log_message(self, *_args: Any) -> None:
        pass


class _Server(http.server.ThreadingHTTPServer):
    def handle_error(self, *_args: Any) -> None:
        """A client that hangs up is what some tests are about."""


@contextlib.contextmanager
def serving(service: Service) -> Iterator[Service]:
    """The service, reachable while the block runs."""
    handler = type("Handler", (_Handler,), {"service": service})
    with _Server(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.02), daemon=True)
        thread.start()
        service.url = f"http://127.0.0.1:{server.server_port}"
        try:
            yield service
        finally:
            server.shutdown()
            thread.join()
