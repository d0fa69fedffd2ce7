"""A real git server on the loopback: http-backend and a small Git LFS, with a password and faults on request."""

import base64
import hashlib
import json
import os
import socket
import struct
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Literal, cast
from urllib.parse import urlsplit

Fault = int | Literal["reset", "stall", "cut"]


@dataclass
class GitServer:
    """What the server has and how it behaves; tests change it while it runs."""

    root: Path
    port: int = 0
    user: tuple[str, str] | None = None  # without one everybody may read
    faults: list[Fault] = field(default_factory=list)  # one for each coming request, then it works
    newest_protocol: bool = True  # without it the server's limits on single commits are in force
    lfs_status: int = 200
    requests: list[str] = field(default_factory=list)
    authorized: list[str] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def with_user(self, user: str) -> str:
        """The address with credentials in it."""
        return f"http://{user}@127.0.0.1:{self.port}"

    def keep_large_files(self, repository: Path) -> None:
        """Take the LFS objects of a repository as a push would bring them."""
        for file in (repository / ".git/lfs/objects").rglob("*"):
            if file.is_file():
                content = file.read_bytes()
                store = self.root / "lfs"
                store.mkdir(exist_ok=True)
                (store / hashlib.sha256(content).hexdigest()).write_bytes(content)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def git(self) -> GitServer:
        return cast(GitServer, self.server.git_server)  # type: ignore[attr-defined]

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the name is the base class's)
        self.git.requests.append(format % args)

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def _answer(self) -> None:
        body = self._body()
        if self.git.faults and self._fails(self.git.faults.pop(0)):
            return
        if not self._authorized():
            self._send(
                401, {"WWW-Authenticate": 'Basic realm="tests"', "Content-Type": "text/plain"}, b"who?"
            )
        elif "/info/lfs/" in self.path:
            self._batch(json.loads(body))
        elif self.path.startswith("/lfs/"):
            self._send(200, {}, (self.git.root / self.path.lstrip("/")).read_bytes())
        else:
            self._backend(body)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _fails(self, fault: Fault) -> bool:
        self.close_connection = True
        if isinstance(fault, int):
            self._send(fault, {}, b"a fault the test asked for")
        elif fault == "reset":
            # Zero seconds of lingering make the kernel send a reset.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
        elif fault == "cut":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nshort")
        else:
            self.git.released.wait(60)
        return True

    def _authorized(self) -> bool:
        given = self.headers.get("Authorization", "")
        if self.git.user is None:
            return True
        expected = base64.b64encode(":".join(self.git.user).encode()).decode()
        if given:
            self.git.authorized.append(given)
        return given == f"Basic {expected}"

    def _batch(self, asked: dict[str, list[dict[str, object]]]) -> None:
        if self.git.lfs_status != 200:
            message = {"message": "This repository is over its data quota."}
            kind = {"Content-Type": "application/vnd.git-lfs+json"}
            self._send(self.git.lfs_status, kind, json.dumps(message).encode())
            return
        header = {"Authorization": self.headers["Authorization"]} if self.git.user else {}
        objects = [
            {
                **wanted,
                "actions": {"download": {"href": f"{self.git.url}/lfs/{wanted['oid']}", "header": header}},
            }
            for wanted in asked["objects"]
        ]
        answer = json.dumps({"transfer": "basic", "objects": objects}).encode()
        self._send(200, {"Content-Type": "application/vnd.git-lfs+json"}, answer)

    def _backend(self, body: bytes) -> None:
        address = urlsplit(self.path)
        environment = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(self.git.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "safe.directory",
            "GIT_CONFIG_VALUE_0": "*",
            "PATH_INFO": address.path,
            "QUERY_STRING": address.query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
        }
        if self.git.newest_protocol:
            environment["GIT_PROTOCOL"] = self.headers.get("Git-Protocol", "")
        answer = subprocess.run(
            ["git", "http-backend"], input=body, env=environment, stdout=subprocess.PIPE, check=False
        ).stdout
        head, _, content = answer.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().splitlines())
        self._send(int(headers.pop("Status", "200 OK").split()[0]), headers, content)

    def _send(self, status: int, headers: dict[str, str], content: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@contextmanager
def serve(root: Path) -> Iterator[GitServer]:
    """A server for the repositories in a folder."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    described = GitServer(root, server.server_address[1])
    server.git_server = described  # type: ignore[attr-defined]
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # clients that hang up are part of the tests
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield described
    finally:
        described.released.set()
        server.shutdown()
        server.server_close()
        thread.join()
