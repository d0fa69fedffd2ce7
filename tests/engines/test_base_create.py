"""`r2d base create`: what mmdebstrap writes goes straight into the engine, and a failure leaves nothing."""

import http.server
import io
import os
import tarfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from r2d import base_factory
from r2d.base_factory import create_base, list_bases, missing_packages, mmdebstrap, packages, requested
from r2d.bases import probe_base
from r2d.engines.fake import FakeEngine
from r2d.engines.find import open_engine
from r2d.engines.protocol import Image
from r2d.errors import BuildFailed, TemporaryFailure, ToolMissing, UnsupportedVersion
from r2d.events import StepFailed, StepFinished, StepStarted, Warned
from r2d.origins import Origins

StandIn = Callable[[str], None]


def small_tar() -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as archive:
        member = tarfile.TarInfo("etc/os-release")
        member.size = 10
        archive.addfile(member, io.BytesIO(b"ID=debian\n"))
    return raw.getvalue()


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    """Puts a script in mmdebstrap's place; it finds a root filesystem at $ROOTFS and a folder of ours at $OUT."""
    keyrings = tmp_path / "keyrings"
    keyrings.mkdir()
    (keyrings / "debian-archive-keyring.gpg").touch()
    monkeypatch.setattr(base_factory, "_KEYRINGS", keyrings)
    (tmp_path / "rootfs.tar").write_bytes(small_tar())
    monkeypatch.setenv("ROOTFS", str(tmp_path / "rootfs.tar"))
    monkeypatch.setenv("OUT", str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")

    def put(script: str) -> None:
        program = tmp_path / "bin" / "mmdebstrap"
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)

    return put


def create(engine, heard, name="debian:trixie", **options) -> Image:
    return create_base(engine, name, **{"origins": Origins(), "emit": heard, **options})


def test_the_tar_becomes_an_image_whose_labels_say_what_it_is(stand_in, heard):
    stand_in('echo "I: success" >&2; cat "$ROOTFS"')
    image = create(FakeEngine(), heard)
    assert image.names == ("localhost/r2d-base:debian-trixie",)
    assert image.size == len(small_tar())
    assert image.labels == {
        "r2d.base": "1", "r2d.base.distribution": "debian", "r2d.base.release": "trixie", "r2d.base.python": "3.13",
    }  # fmt: skip
    assert [type(event) for event in heard.of(StepStarted, StepFinished)] == [StepStarted, StepFinished]


def test_a_base_without_a_python_says_none(stand_in, heard):
    stand_in('cat "$ROOTFS"')
    image = create(FakeEngine(), heard, minimal=True)
    assert image.names == ("localhost/r2d-base:debian-trixie-minimal",)
    assert "r2d.base.python" not in image.labels


def test_the_bases_made_here_are_listed_by_name(stand_in, heard):
    stand_in('cat "$ROOTFS"')
    engine = FakeEngine()
    for name in ("debian:trixie", "debian:11"):
        create(engine, heard, name)
    assert [(base.reference, base.python) for base in list_bases(engine)] == [
        ("localhost/r2d-base:debian-bullseye", "3.9"),
        ("localhost/r2d-base:debian-trixie", "3.13"),
    ]


@pytest.mark.parametrize(
    ("said", "raised"),
    [
        ("E: Failed to fetch x  Could not connect to 192.0.2.1:80", TemporaryFailure),
        ("W: Temporary failure resolving 'mirror.example'", TemporaryFailure),
        ("E: The following signatures couldn't be verified: NO_PUBKEY 1234", ToolMissing),
        (
            "E: The repository 'http://mirror.example trixie Release' does not have a Release file.",
            UnsupportedVersion,
        ),
        ("E: something else", BuildFailed),
    ],
)
def test_a_failure_of_mmdebstrap_is_named_and_never_reaches_the_engine(stand_in, heard, said, raised):
    stand_in(f'echo "{said}" >&2; exit 25')
    engine = FakeEngine()
    with pytest.raises(raised):
        create(engine, heard)
    assert engine.images("r2d.base") == ()
    (failed,) = heard.of(StepFailed)
    assert failed.tail == (said,)


def test_a_failure_in_the_middle_of_the_tar_leaves_no_image(stand_in, heard):
    stand_in('head -c 700 "$ROOTFS"; exit 1')
    engine = FakeEngine()
    with pytest.raises(BuildFailed):
        create(engine, heard)
    assert engine.images("r2d.base") == ()


def test_an_interruption_ends_mmdebstrap_and_lets_it_clean_up(stand_in, heard, tmp_path):
    class Interrupted(FakeEngine):
        def load(self, tag, rootfs, *, command, labels=()):
            next(rootfs())
            raise KeyboardInterrupt

    stand_in(
        'trap "touch \\"$OUT/cleaned\\"; exit 1" TERM\necho $$ >"$OUT/pid"\ncat "$ROOTFS"\nsleep 60 & wait'
    )
    with pytest.raises(KeyboardInterrupt):
        create(Interrupted(), heard)
    assert (tmp_path / "cleaned").exists()
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_proxies_reach_mmdebstrap_and_no_list_of_processes(stand_in, heard, tmp_path):
    stand_in('echo "$http_proxy" >"$OUT/proxy"; echo "$@" >"$OUT/arguments"; cat "$ROOTFS"')
    create(FakeEngine(), heard, origins=Origins(http_proxy="http://user:se'cret@proxy.example:3128"))
    assert (tmp_path / "proxy").read_text() == "http://user:se'cret@proxy.example:3128\n"
    assert "cret" not in (tmp_path / "arguments").read_text()


def test_without_mmdebstrap_the_command_that_installs_it_is_named(monkeypatch, heard, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(base_factory, "_KEYRINGS", tmp_path)
    with pytest.raises(ToolMissing) as caught:
        create(FakeEngine(), heard)
    assert caught.value.fix is not None
    assert caught.value.fix.endswith("mmdebstrap debian-archive-keyring")


def test_without_the_keys_of_the_distribution_their_package_is_named(stand_in, heard):
    stand_in("exit 1")
    with pytest.raises(ToolMissing, match="keys") as caught:
        create(FakeEngine(), heard, "ubuntu:noble")
    assert caught.value.fix == "sudo apt-get install ubuntu-keyring"


@pytest.mark.parametrize(
    ("name", "tag", "suite"),
    [
        ("debian:trixie", "localhost/r2d-base:debian-trixie", "trixie"),
        ("bookworm", "localhost/r2d-base:debian-bookworm", "bookworm"),
        ("debian:11", "localhost/r2d-base:debian-bullseye", "bullseye"),
        ("ubuntu:noble", "localhost/r2d-base:ubuntu-24.04", "noble"),
    ],
)
def test_a_release_is_asked_for_by_any_of_its_names(name, tag, suite):
    assert (requested(name).tag, requested(name).suite) == (tag, suite)


@pytest.mark.parametrize(
    ("name", "near"), [("debian:trixy", "debian:trixie"), ("debain:bookworm", "debian:bookworm")]
)
def test_an_unknown_release_names_the_near_one_and_all(name, near):
    with pytest.raises(UnsupportedVersion) as caught:
        requested(name)
    assert f"Did you mean {near}?" in str(caught.value.fix)
    assert "ubuntu:24.04" in str(caught.value.fix)


def test_each_variant_holds_what_the_smaller_one_does():
    assert set(packages("minimal")) < set(packages("")) < set(packages("full"))
    assert "python3" not in packages("minimal")
    assert {"python3", "build-essential", "git", "ca-certificates", "locales"} <= set(packages(""))


def test_without_a_mirror_the_sources_are_mmdebstraps_own():
    assert mmdebstrap(requested("debian:trixie"), ())[-2:] == ["trixie", "-"]


def test_a_ca_bundle_is_trusted_while_the_base_is_made_and_not_named_in_it(stand_in, heard, tmp_path):
    stand_in(
        'mkdir -p "$OUT/root/etc/apt/apt.conf.d"\n'
        'for word; do case $word in --setup-hook=*) sh -c "${word#*=}" sh "$OUT/root" ;; esac; done\n'
        'cp -r "$OUT/root" "$OUT/during"\n'
        'for word; do case $word in --customize-hook=rm*) sh -c "${word#*=}" sh "$OUT/root" ;; esac; done\n'
        'cat "$ROOTFS"'
    )
    create(FakeEngine(), heard, origins=Origins(ca_bundle=Path("/etc/our lab's.pem")))
    settings = "etc/apt/apt.conf.d"
    (during,) = (tmp_path / "during" / settings).iterdir()
    assert during.read_text() == 'Acquire::https::CAInfo "/etc/our lab\'s.pem";\n'
    assert list((tmp_path / "root" / settings).iterdir()) == []


def test_what_making_a_base_needs_is_named_by_package(monkeypatch, tmp_path):
    monkeypatch.setattr(base_factory, "_KEYRINGS", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert missing_packages("debian:trixie") == ("mmdebstrap", "debian-archive-keyring")
    (tmp_path / "debian-archive-keyring.pgp").touch()
    assert missing_packages("debian:trixie") == ("mmdebstrap",)
    (tmp_path / "mmdebstrap").touch(mode=0o755)
    assert missing_packages("debian:trixie") == ()
    assert missing_packages("ubuntu:24.04") == ("ubuntu-keyring",)


class _Mirror(http.server.BaseHTTPRequestHandler):
    def do_HEAD(self) -> None:
        # A proxy is asked for a whole address.
        path = self.path.removeprefix("http://mirror.invalid")
        there = path == "/debian-security/dists/trixie-security/InRelease"
        self.send_response(200 if there else 404)
        self.end_headers()

    def log_message(self, *_args: object) -> None:
        """Say nothing."""


@pytest.fixture
def mirror() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Mirror) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/debian"
        server.shutdown()


def test_a_mirror_gives_updates_and_security_too(stand_in, heard, mirror, tmp_path):
    stand_in('for word; do echo "$word"; done >"$OUT/arguments"; cat "$ROOTFS"')
    create(FakeEngine(), heard, mirror=f"{mirror}/")
    assert (tmp_path / "arguments").read_text().splitlines()[-3:] == [
        f"deb {mirror} trixie main",
        f"deb {mirror} trixie-updates main",
        f"deb {mirror}-security trixie-security main",
    ]
    assert not heard.of(Warned)


def test_a_mirror_behind_a_proxy_is_asked_through_it(stand_in, heard, mirror):
    stand_in('cat "$ROOTFS"')
    behind = "http://mirror.invalid/debian"
    dead = "http://127.0.0.1:1"
    create(FakeEngine(), heard, mirror=behind, origins=Origins(http_proxy=mirror.removesuffix("/debian")))
    create(FakeEngine(), heard, mirror=mirror, origins=Origins(http_proxy=dead, no_proxy="127.0.0.1"))
    assert not heard.of(Warned)


def test_a_mirror_without_security_updates_is_said(stand_in, heard, mirror):
    stand_in('cat "$ROOTFS"')
    create(FakeEngine(), heard, "debian:bookworm", origins=Origins(distribution_mirror=mirror))
    (warned,) = heard.of(Warned)
    assert "no bookworm-security" in warned.problem


# --- with a real engine


@pytest.fixture
def real_engine():
    with open_engine(environ=os.environ) as engine:
        yield engine


def test_a_failure_in_the_middle_leaves_no_image_in_a_real_engine(stand_in, heard, real_engine):
    stand_in('head -c 700 "$ROOTFS"; exit 1')
    with pytest.raises(BuildFailed):
        create(real_engine, heard, "debian:bullseye", minimal=True)
    assert real_engine.find("localhost/r2d-base:debian-bullseye-minimal") is None


def test_a_real_base_is_what_it_says(heard, real_engine):
    name = "localhost/r2d-base:debian-trixie-minimal"
    had = real_engine.find(name)
    try:
        image = create(real_engine, heard, minimal=True)
        base = probe_base(name, real_engine)
        assert (base.distribution, base.release, base.python) == ("debian", "trixie", None)
        assert image.size < 200_000_000
    finally:
        if had is None:
            real_engine.remove_image(name)
