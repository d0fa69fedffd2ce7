"""A package index of one's own, with a password: packages come from it, and nothing tells of it afterwards."""

import base64
import http.server
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.machine import Machine
from tests.e2e.wheels import wheel_name, wheel_of

FolderWith = Callable[[Mapping[str, str | bytes]], Path]
USER, PASSWORD = "reader", "e2e-password-0f6c1f"
WHEEL = wheel_name("harbour_tools")


class _Index(http.server.BaseHTTPRequestHandler):
    """The two pages of a simple index, for those who know the password."""

    def do_GET(self) -> None:
        expected = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        if self.headers.get("Authorization") != expected:
            self._answer(401, b"", "text/plain")
        elif self.path == "/simple/harbour-tools/":
            self._answer(200, f'<a href="/files/{WHEEL}">{WHEEL}</a>'.encode(), "text/html")
        elif self.path == f"/files/{WHEEL}":
            self._answer(200, wheel_of("harbour_tools", "depth = 12\n"), "application/octet-stream")
        else:
            self._answer(404, b"", "text/plain")

    def _answer(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if status == 401:
            self.send_header("WWW-Authenticate", 'Basic realm="index"')
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_GET  # noqa: N815 - the base class calls it so

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the base class calls it so
        """Nobody reads it."""


@contextmanager
def served() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Index) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://{USER}:{PASSWORD}@127.0.0.1:{server.server_address[1]}/simple"
        finally:
            server.shutdown()


@pytest.fixture
def index() -> Iterator[str]:
    """The address of the index, password and all."""
    with served() as address:
        yield address


def test_its_packages_are_installed_and_its_password_stays_nowhere(
    machine: Machine,
    index: str,
    folder_with: FolderWith,
    settings_of: Callable[[Machine, str], None],
    tmp_path: Path,
) -> None:
    settings_of(machine, f'[origins]\nextra_package_indexes = ["{index}"]\n')
    folder = folder_with({"requirements.txt": "harbour-tools==1.0\n"})
    name, log = machine.new_name(), tmp_path / "log"
    done = machine.r2d(
        "build", "--progress", "plain", "--log", log, "--host-network", "-t", name, folder, check=True
    )

    image = machine.image(name)
    assert machine.tell(name, "python", "-c", "import harbour_tools; print(harbour_tools.depth)") == "12"
    history = machine.client.images.get(image.id).history()
    told = (
        json.dumps([image.env, image.labels, history], default=str)
        + done.stdout
        + done.stderr
        + log.read_text()
    )
    assert PASSWORD not in told
    assert PASSWORD not in machine.r2d("explain", folder, check=True).stdout
    search = f"grep -rlaF {PASSWORD} / --exclude-dir=proc --exclude-dir=sys --exclude-dir=dev; true"
    assert machine.tell(name, "bash", "-c", search, user="root", entrypoint=[]) == ""


def test_a_wrong_password_is_a_failure_that_does_not_repeat_it(
    docker: Machine, index: str, folder_with: FolderWith, settings_of: Callable[[Machine, str], None]
) -> None:
    wrong = "not-the-password-3b1a"
    settings_of(docker, f'[origins]\nextra_package_indexes = ["{index.replace(PASSWORD, wrong)}"]\n')
    folder = folder_with({"requirements.txt": "harbour-tools==1.0\n"})
    done = docker.r2d("build", "--progress", "plain", "--host-network", folder)
    assert done.returncode == 30
    assert wrong not in done.stdout + done.stderr
