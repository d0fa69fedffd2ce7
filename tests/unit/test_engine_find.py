"""Which engine is taken, among small servers that stand for engines."""

import hashlib
import json
import socket
from pathlib import Path
from typing import Any

import pytest

from r2d.engines.find import candidates, open_engine, probe
from r2d.errors import EngineAbsent, EngineRefused, InvalidConfiguration, WrongUsage
from tests.engines.speaking import DOCKER, PODMAN, speaking_engine

NOTHING = {"PATH": "/nonexistent"}


def context(home: Path, name: str, endpoint: dict[str, Any]) -> None:
    key = hashlib.sha256(name.encode()).hexdigest()
    meta = home / ".docker/contexts/meta" / key / "meta.json"
    meta.parent.mkdir(parents=True)
    meta.write_text(json.dumps({"Name": name, "Endpoints": {"docker": endpoint}}))
    (home / ".docker/config.json").write_text(json.dumps({"currentContext": name}))


def stale_socket(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


def test_an_address_given_by_name_is_the_only_place_looked_at() -> None:
    found = candidates("unix:///x.sock", {"DOCKER_HOST": "tcp://elsewhere:2375"})
    assert [candidate.address for candidate in found] == ["unix:///x.sock"]


def test_docker_host_comes_before_everything_and_is_never_passed_over(tmp_path: Path) -> None:
    environ = {**NOTHING, "DOCKER_HOST": f"unix://{tmp_path}/none"}
    with (
        speaking_engine(tmp_path / "var/run/docker.sock"),
        pytest.raises(EngineAbsent) as caught,
    ):
        open_engine(environ=environ, root=tmp_path)
    assert caught.value.where == "DOCKER_HOST"


def test_the_current_docker_context_is_followed(tmp_path: Path) -> None:
    context(tmp_path, "lab", {"Host": f"unix://{tmp_path}/lab.sock"})
    with (
        speaking_engine(tmp_path / "lab.sock") as address,
        open_engine(environ={"HOME": str(tmp_path)}) as engine,
    ):
        assert engine.facts.address == address


def test_a_context_brings_its_certificates(tmp_path: Path) -> None:
    context(tmp_path, "lab", {"Host": "tcp://lab:2376", "SkipTLSVerify": True})
    certificates = tmp_path / ".docker/contexts/tls" / hashlib.sha256(b"lab").hexdigest() / "docker"
    certificates.mkdir(parents=True)
    (found,) = candidates(None, {"HOME": str(tmp_path)})
    assert found.tls is not None
    assert (found.tls.folder, found.tls.verify) == (certificates, False)


def test_a_context_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(EngineAbsent, match="lab"):
        candidates(None, {"HOME": str(tmp_path), "DOCKER_CONTEXT": "lab"})


def test_a_broken_docker_configuration_is_told(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(InvalidConfiguration):
        candidates(None, {"DOCKER_CONFIG": str(tmp_path)})


def test_tls_settings_of_the_environment_count_for_tcp_only() -> None:
    environ = {"DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": "/certs"}
    (behind_tcp,) = candidates("tcp://host:2376", environ)
    (behind_socket,) = candidates("unix:///x", environ)
    assert behind_tcp.tls is not None
    assert behind_tcp.tls.folder == Path("/certs")
    assert behind_socket.tls is None


def test_the_systems_docker_is_taken_when_nothing_else_is_named(tmp_path: Path) -> None:
    with (
        speaking_engine(tmp_path / "var/run/docker.sock", version=DOCKER),
        open_engine(environ=NOTHING, root=tmp_path) as engine,
    ):
        assert engine.facts.name == "Docker 20.10.24"
        assert engine.facts.builder == "buildkit"
        assert engine.facts.host is None


def test_a_stale_socket_is_passed_over_for_one_that_answers(tmp_path: Path) -> None:
    stale_socket(tmp_path / "var/run/docker.sock")
    with (
        speaking_engine(tmp_path / "run/podman/podman.sock", version=PODMAN),
        open_engine(environ=NOTHING, root=tmp_path) as engine,
    ):
        assert engine.facts.name == "Podman 4.3.1"
        assert engine.facts.builder == "classic"


def test_the_users_podman_comes_before_the_systems(tmp_path: Path) -> None:
    environ = {**NOTHING, "XDG_RUNTIME_DIR": str(tmp_path / "user")}
    with (
        speaking_engine(tmp_path / "user/podman/podman.sock", version=PODMAN) as address,
        speaking_engine(tmp_path / "run/podman/podman.sock", version=PODMAN),
        open_engine("podman", environ=environ, root=tmp_path) as engine,
    ):
        assert engine.facts.address == address


def test_without_any_engine_the_one_command_that_helps_is_named(tmp_path: Path) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "apt-get").touch(mode=0o755)
    with pytest.raises(EngineAbsent) as caught:
        open_engine(environ={"PATH": str(tools)}, root=tmp_path)
    assert caught.value.fix == "sudo apt-get install -y podman"


def test_a_docker_that_is_down_is_to_be_started(tmp_path: Path) -> None:
    stale_socket(tmp_path / "var/run/docker.sock")
    with pytest.raises(EngineAbsent) as caught:
        open_engine(environ=NOTHING, root=tmp_path)
    assert caught.value.fix == "sudo systemctl start docker"


def test_an_unknown_engine_is_wrong_usage() -> None:
    with pytest.raises(WrongUsage, match="kaniko"):
        candidates("kaniko", {})


def test_a_refusal_is_not_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: object, **_settings: object) -> None:
        raise EngineRefused("no", fix="usermod")

    # Root is never refused a socket; what is tried here is what follows from a refusal.
    monkeypatch.setattr("r2d.engines.find.EngineApi", refuse)
    with pytest.raises(EngineRefused):
        open_engine(environ=NOTHING, root=tmp_path)


def test_a_probe_tells_of_each_engine_whether_it_answers(tmp_path: Path) -> None:
    stale_socket(tmp_path / "var/run/docker.sock")
    with speaking_engine(tmp_path / "run/podman/podman.sock", version=PODMAN):
        docker, podman, program = probe(NOTHING, tmp_path)
    assert (docker.name, docker.works, docker.repair) == ("Docker", False, "sudo systemctl start docker")
    assert docker.why_not
    assert (podman.name, podman.works, podman.version) == ("the system's Podman", True, "Podman 4.3.1")
    assert (program.kind, program.name, program.works) == ("program", "podman", False)
