"""What r2d knows of base images without asking, what it finds by asking, and what it refuses."""

import hashlib
import http.server
import json
import threading

import pytest

from r2d import bases, update_base_pins
from r2d.engines.fake import ContainerScript, FakeEngine
from r2d.engines.protocol import Image
from r2d.errors import UnknownBaseImage


def test_the_default_is_pinned_by_digest_and_fully_known():
    base = bases.default_base()
    assert base.reference.startswith("docker.io/library/buildpack-deps:24.04@sha256:")
    assert (base.distribution, base.release, base.python) == ("ubuntu", "24.04", "3.12")


@pytest.mark.parametrize(
    ("reference", "known"),
    [
        ("debian:trixie", ("docker.io/library/debian:trixie", "debian", "trixie", None)),
        ("library/debian:12-slim", ("docker.io/library/debian:12-slim", "debian", "bookworm", None)),
        ("docker.io/ubuntu:noble", ("docker.io/library/ubuntu:noble", "ubuntu", "24.04", None)),
        ("buildpack-deps:22.04", ("docker.io/library/buildpack-deps:22.04", "ubuntu", "22.04", "3.10")),
        ("index.docker.io/library/buildpack-deps:bookworm-curl",
         ("docker.io/library/buildpack-deps:bookworm-curl", "debian", "bookworm", None)),
        ("python:3.12.4-slim-trixie", ("docker.io/library/python:3.12.4-slim-trixie", "debian", "trixie", "3.12")),
        ("debian:trixie@sha256:aa", ("docker.io/library/debian:trixie@sha256:aa", "debian", "trixie", None)),
        ("localhost/r2d-base:debian-trixie", ("localhost/r2d-base:debian-trixie", "debian", "trixie", "3.13")),
        ("localhost/r2d-base:ubuntu-24.04-minimal",
         ("localhost/r2d-base:ubuntu-24.04-minimal", "ubuntu", "24.04", None)),
    ],
)  # fmt: skip
def test_a_name_that_says_what_it_is_is_believed(reference, known):
    base = bases.known_base(reference)
    assert base is not None
    assert (base.reference, base.distribution, base.release, base.python) == known


@pytest.mark.parametrize(
    "reference",
    ["debian", "debian:latest", "debian:stable", "python:3.12", "quay.io/debian:trixie", "someone/debian:trixie",
     "localhost:5000/debian:trixie", "debian:trixie-full", "debian@sha256:aa", "fedora:41"],
)  # fmt: skip
def test_a_name_that_may_mean_anything_tells_nothing(reference):
    assert bases.known_base(reference) is None


def test_the_known_bases_begin_with_the_default_and_are_there_once():
    references = [base.reference for base in bases.known_bases()]
    assert references[0] == bases.default_base().reference
    assert len(set(references)) == len(references)


def image_with(labels: dict[str, str]) -> Image:
    return Image(id="sha256:1", names=(), size=1, labels=labels, env={}, working_dir="", user="")


def test_labels_say_what_an_image_is():
    labels = {"r2d.base.distribution": "debian", "r2d.base.release": "trixie", "r2d.base.python": "3.13"}
    base = bases.base_from_image("mine:1", image_with(labels))
    assert base == bases.Base("mine:1", "debian", "trixie", "3.13", "its labels say what it is")


def test_an_image_without_our_labels_says_nothing():
    assert bases.base_from_image("mine:1", image_with({"maintainer": "me"})) is None


def engine_that_finds(*facts: str) -> FakeEngine:
    engine = FakeEngine()
    engine.load("mine:1", lambda: iter([b"rootfs"]), command=("bash",))
    engine.script_container(ContainerScript(prints=tuple(("stdout", f"r2d {fact}\n") for fact in facts)))
    return engine


@pytest.mark.parametrize(
    ("facts", "known"),
    [
        (["id debian", "codename trixie", "version 13", "apt /usr/bin/apt-get", "python 3.13"],
         ("debian", "trixie", "3.13")),
        (["id ubuntu", "like debian", "codename noble", "version 24.04", "apt /usr/bin/apt-get", "python "],
         ("ubuntu", "24.04", None)),
        (["id ubuntu", "like debian", "codename later", "version 30.04", "apt /usr/bin/apt-get", "python 3.18"],
         ("ubuntu", "30.04", "3.18")),
        (["id linuxmint", "like ubuntu debian", "codename noble", "version 22", "apt /usr/bin/apt-get", "python 3.12"],
         ("ubuntu", "24.04", "3.12")),
    ],
)  # fmt: skip
def test_a_look_into_an_image_finds_its_release_and_its_python(facts, known):
    base = bases.probe_base("mine:1", engine_that_finds(*facts))
    assert (base.distribution, base.release, base.python) == known


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        (["id alpine", "like ", "version 3.20", "apt ", "python "], "It is alpine"),
        (["id ", "apt ", "python "], "does not say what it is"),
        (["id debian", "codename trixie", "apt ", "python 3.13"], "no apt-get"),
        ([], "does not say what it is"),
    ],
)  # fmt: skip
def test_an_image_that_is_no_debian_or_ubuntu_is_refused_with_the_reason(facts, reason):
    with pytest.raises(UnknownBaseImage, match=reason) as caught:
        bases.probe_base("mine:1", engine_that_finds(*facts))
    assert caught.value.where == "mine:1"
    assert "r2d base create" in str(caught.value.fix)


def test_a_look_into_an_image_leaves_no_container():
    engine = engine_that_finds("id debian", "codename trixie", "apt /usr/bin/apt-get", "python 3.13")
    bases.probe_base("mine:1", engine)
    assert all(container.removed for container in engine.containers)


class Registry(http.server.BaseHTTPRequestHandler):
    """A registry that wants an anonymous token, and may keep the digest header to itself."""

    manifest = b'{"schemaVersion": 2}'
    digest_header = True

    def do_HEAD(self) -> None:
        self._manifest(with_body=False)

    def do_GET(self) -> None:
        if self.path.startswith("/token?"):
            assert "service=test" in self.path
            assert "scope=repository%3Alibrary%2Fthing%3Apull" in self.path
            self._send(200, json.dumps({"token": "anonymous"}).encode())
        else:
            self._manifest(with_body=True)

    def _manifest(self, *, with_body: bool) -> None:
        if self.path != "/v2/library/thing/manifests/1":
            self._send(404, b"")
        elif self.headers["Authorization"] != "Bearer anonymous":
            realm = f"http://{self.headers['Host']}/token"
            scope = "repository:library/thing:pull"
            challenge = f'Bearer realm="{realm}",service="test",scope="{scope}"'
            self._send(401, b"", ("WWW-Authenticate", challenge))
        else:
            assert "application/vnd.oci.image.index.v1+json" in self.headers["Accept"]
            header = ("Docker-Content-Digest", "sha256:from-the-header") if self.digest_header else None
            self._send(200, self.manifest if with_body else b"", header)

    def _send(self, code: int, body: bytes, header: tuple[str, str] | None = None) -> None:
        self.send_response(code)
        if header:
            self.send_header(*header)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: object) -> None:
        """Say nothing."""


@pytest.fixture
def registry():
    def serving(handler: type[Registry]) -> str:
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"localhost:{server.server_address[1]}"

    servers: list[http.server.ThreadingHTTPServer] = []
    yield serving
    for server in servers:
        server.shutdown()
        server.server_close()


def test_a_registry_is_asked_for_the_digest_with_the_token_it_wants(registry):
    host = registry(Registry)
    assert update_base_pins.digest_of(f"{host}/library/thing:1", scheme="http") == "sha256:from-the-header"


def test_a_registry_without_the_digest_header_is_asked_for_the_manifest(registry):
    class Silent(Registry):
        digest_header = False

    expected = f"sha256:{hashlib.sha256(Registry.manifest).hexdigest()}"
    assert update_base_pins.digest_of(f"{registry(Silent)}/library/thing:1", scheme="http") == expected
