"""A small HTTP server on a Unix socket that speaks as an engine would, well or badly."""

import json
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path

DOCKER = {
    "Version": "20.10.24",
    "ApiVersion": "1.41",
    "Os": "linux",
    "Arch": "amd64",
    "Components": [{"Name": "Engine"}],
}
PODMAN = DOCKER | {"Version": "4.3.1", "Components": [{"Name": "Podman Engine"}]}


class Asked(BaseHTTPRequestHandler):
    """A request to the server, and the ways to answer it."""

    protocol_version = "HTTP/1.1"
    server: "_Server"

    def answer(self, content: object, status: int = 200) -> None:
        """Answer with JSON."""
        raw = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def start_stream(self) -> None:
        """Begin a chunked answer."""
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def say(self, record: object) -> None:
        """Send one record of a chunked answer."""
        raw = json.dumps(record).encode() + b"\n"
        self.wfile.write(b"%x\r\n%s\r\n" % (len(raw), raw))
        self.wfile.flush()

    def end_stream(self) -> None:
        """End a chunked answer in good order."""
        self.wfile.write(b"0\r\n\r\n")

    def swallow(self) -> int:
        """Read the chunked body to its end; its size."""
        total = 0
        while size := int(self.rfile.readline(), 16):
            left = size
            while left:
                left -= len(self.rfile.read(min(left, 1 << 16)))
            self.rfile.readline()
            total += size
        self.rfile.readline()
        return total

    def setup(self) -> None:
        self.client_address = ("unix", 0)
        super().setup()

    def log_message(self, *_: object) -> None:
        pass

    def _serve(self) -> None:
        path = self.path.partition("?")[0]
        if path.endswith("/version"):
            self.answer(self.server.version)
        elif path.endswith("/info"):
            options = ["name=rootless"] if self.server.rootless else []
            self.answer({"SecurityOptions": options, "DockerRootDir": "/nonexistent"})
        else:
            self.server.respond(self)

    do_GET = do_POST = do_DELETE = _serve  # noqa: N815 (names that http.server looks for)


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    version: dict[str, object]
    rootless: bool
    respond: Callable[[Asked], None]

    def handle_error(self, *_: object) -> None:
        """A client that went away is part of the story."""


@contextmanager
def speaking_engine(
    path: Path,
    respond: Callable[[Asked], None] = lambda asked: asked.answer({"message": "nothing here"}, 404),
    version: dict[str, object] | None = None,
    *,
    rootless: bool = False,
) -> Iterator[str]:
    """Run the server while the block runs; its address."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with _Server(str(path), Asked) as server:
        server.version = version or DOCKER
        server.rootless = rootless
        server.respond = respond
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield f"unix://{path}"
        finally:
            server.shutdown()
            thread.join()
