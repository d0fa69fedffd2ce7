"""Which engine to talk to: what the user named, else the first that answers, else Podman started for this command."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from r2d.engines.engine_api import EngineApi
from r2d.engines.podman_service import PodmanService, read_machine, runtime_path
from r2d.engines.wire import TlsFiles
from r2d.errors import EngineAbsent, EngineRefused, InvalidConfiguration, R2DError, WrongUsage

START_DOCKER = "sudo systemctl start docker"
_SCHEMES = ("unix://", "tcp://", "ssh://", "http://", "https://", "npipe://")
_INSTALL = {
    "apt-get": "sudo apt-get install -y podman",
    "dnf": "sudo dnf install -y podman",
    "zypper": "sudo zypper install -y podman",
    "pacman": "sudo pacman -S podman",
    "apk": "sudo apk add podman",
    "brew": "brew install podman && podman machine init && podman machine start",
}


@dataclass(frozen=True)
class Candidate:
    """A place where an engine may answer. One that the user named is never passed over."""

    name: str
    address: str
    tls: TlsFiles | None = None
    named_by_user: bool = False


@dataclass(frozen=True)
class Probe:
    """What `r2d doctor` says of one thing: an engine, or a program an engine needs."""

    kind: Literal["engine", "program"]
    name: str
    place: str | None
    works: bool
    version: str | None = None
    builder: str | None = None
    free_bytes: int | None = None
    why_not: str | None = None
    repair: str | None = None


def open_engine(
    engine: str | None = None, *, environ: Mapping[str, str], root: Path = Path("/")
) -> EngineApi:
    """Open the engine that is meant: "docker", "podman", an address, or None for the first that answers."""
    stale: list[Candidate] = []
    for candidate in candidates(engine, environ, root):
        try:
            return _open(candidate, environ)
        except EngineAbsent as error:
            if candidate.named_by_user:
                raise EngineAbsent(error.problem, where=candidate.name, fix=error.fix) from error
            stale.append(candidate)
    podman = shutil.which("podman", path=environ.get("PATH", ""))
    if podman and engine in (None, "podman"):
        return open_embedded(podman, environ)
    raise _absent(engine, stale, environ)


def open_embedded(podman: str, environ: Mapping[str, str]) -> EngineApi:
    """Start Podman's service for this command; it ends with the engine's `close`."""
    service = PodmanService.start(podman, environ, is_root=os.geteuid() == 0)
    try:
        return EngineApi(
            service.address,
            config_folder=config_folder(environ),
            on_close=service.close,
            on_broken_build=service.end_steps,
        )
    except BaseException:
        service.close()
        raise


def candidates(
    engine: str | None, environ: Mapping[str, str], root: Path = Path("/")
) -> tuple[Candidate, ...]:
    """Where to look, in this order. A name given by the user leaves nothing else."""
    if engine in (None, "docker"):
        named = _named(environ)
        if named:
            return (named,)
    if engine is None:
        return (*_docker_sockets(environ, root), *_podman_sockets(environ, root))
    if engine == "docker":
        return tuple(_docker_sockets(environ, root))
    if engine == "podman":
        return tuple(_podman_sockets(environ, root))
    if engine.startswith(_SCHEMES):
        return (Candidate("--engine", engine, _tls(engine, environ), named_by_user=True),)
    raise WrongUsage(
        f"--engine {engine} names no engine.",
        fix="Say docker, podman, or an address such as unix:///run/docker.sock.",
    )


def probe(environ: Mapping[str, str], root: Path = Path("/")) -> tuple[Probe, ...]:
    """Look at every engine that could be there and at the programs Podman needs."""
    return (*_probe_engines(environ, root), *_probe_programs(environ, root))


def config_folder(environ: Mapping[str, str]) -> Path | None:
    """The folder of the user's Docker configuration: credentials and contexts."""
    if folder := environ.get("DOCKER_CONFIG"):
        return Path(folder)
    return Path(environ["HOME"]) / ".docker" if environ.get("HOME") else None


def _open(candidate: Candidate, environ: Mapping[str, str]) -> EngineApi:
    return EngineApi(candidate.address, tls=candidate.tls, config_folder=config_folder(environ))


def _named(environ: Mapping[str, str]) -> Candidate | None:
    if host := environ.get("DOCKER_HOST"):
        return Candidate("DOCKER_HOST", host, _tls(host, environ), named_by_user=True)
    folder = config_folder(environ)
    if folder is None:
        return None
    context = environ.get("DOCKER_CONTEXT") or _read_json(folder / "config.json").get("currentContext")
    return _context(str(context), folder) if context and context != "default" else None


def _context(name: str, folder: Path) -> Candidate:
    key = hashlib.sha256(name.encode()).hexdigest()
    meta = folder / "contexts/meta" / key / "meta.json"
    endpoint = (_read_json(meta).get("Endpoints") or {}).get("docker") or {}
    if not endpoint.get("Host"):
        raise EngineAbsent(
            f"The Docker context {name!r} names no engine.",
            where=str(meta),
            fix="See `docker context ls`; `docker context use default` goes back to this machine's own engine.",
        )
    certificates = folder / "contexts/tls" / key / "docker"
    tls = TlsFiles(certificates, verify=not endpoint.get("SkipTLSVerify")) if certificates.is_dir() else None
    return Candidate(f"Docker context {name!r}", str(endpoint["Host"]), tls, named_by_user=True)


def _tls(address: str, environ: Mapping[str, str]) -> TlsFiles | None:
    verify = bool(environ.get("DOCKER_TLS_VERIFY"))
    wanted = verify or bool(environ.get("DOCKER_TLS")) or address.startswith("https://")
    if not wanted or not address.startswith(("tcp://", "https://")):
        return None
    certificates = environ.get("DOCKER_CERT_PATH")
    folder = Path(certificates) if certificates else config_folder(environ)
    return TlsFiles(folder or Path("/nonexistent"), verify)


def _docker_sockets(environ: Mapping[str, str], root: Path) -> Iterator[Candidate]:
    yield Candidate("Docker", f"unix://{root / 'var/run/docker.sock'}")
    if runtime := environ.get("XDG_RUNTIME_DIR"):
        yield Candidate("rootless Docker", f"unix://{runtime}/docker.sock")
    if home := environ.get("HOME"):
        yield Candidate("Docker Desktop", f"unix://{home}/.docker/run/docker.sock")


def _podman_sockets(environ: Mapping[str, str], root: Path) -> Iterator[Candidate]:
    if runtime := environ.get("XDG_RUNTIME_DIR"):
        yield Candidate("the user's Podman", f"unix://{runtime}/podman/podman.sock")
    yield Candidate("the system's Podman", f"unix://{root / 'run/podman/podman.sock'}")


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise InvalidConfiguration(
            f"Docker's configuration cannot be read: {error}",
            where=str(path),
            fix="Correct or remove the file.",
        ) from error
    return content if isinstance(content, dict) else {}


def _absent(engine: str | None, stale: list[Candidate], environ: Mapping[str, str]) -> EngineAbsent:
    searched = "".join(f"\n  {candidate.name}: {candidate.address}" for candidate in stale)
    wanted = {"docker": "Docker does not answer", "podman": "Podman is not installed"}.get(
        engine or "", "No container engine answers and Podman is not installed"
    )
    return EngineAbsent(f"{wanted}. Looked at:{searched}", fix=_repair(engine, stale, environ))


def _repair(engine: str | None, stale: list[Candidate], environ: Mapping[str, str]) -> str:
    """The one command that gives this machine an engine."""
    docker_is_down = any(_exists(candidate) and "Docker" in candidate.name for candidate in stale)
    if engine != "podman" and (docker_is_down or shutil.which("dockerd", path=environ.get("PATH", ""))):
        return START_DOCKER
    if engine == "docker":
        return "sudo apt-get install -y docker.io" if _installer(environ) == "apt-get" else "Install Docker."
    return _INSTALL.get(_installer(environ) or "", "Install Podman 4 or newer.")


def _installer(environ: Mapping[str, str]) -> str | None:
    return next((name for name in _INSTALL if shutil.which(name, path=environ.get("PATH", ""))), None)


def _exists(candidate: Candidate) -> bool:
    return (
        candidate.address.startswith("unix://") and Path(candidate.address.removeprefix("unix://")).exists()
    )


def _probe_engines(environ: Mapping[str, str], root: Path) -> Iterator[Probe]:
    try:
        named = _named(environ)
    except R2DError as error:
        named = None
        yield Probe("engine", "Docker context", None, works=False, why_not=error.problem, repair=error.fix)
    places = [*([named] if named else []), *_docker_sockets(environ, root), *_podman_sockets(environ, root)]
    for candidate in places:
        if candidate.named_by_user or _exists(candidate):
            yield _probe_candidate(candidate, environ)
    podman = shutil.which("podman", path=environ.get("PATH", ""))
    if podman:
        yield _probe_embedded(podman, environ)


def _probe_candidate(candidate: Candidate, environ: Mapping[str, str]) -> Probe:
    try:
        with _open(candidate, environ) as engine:
            return _answering(candidate.name, candidate.address, engine)
    except R2DError as error:
        repair = error.fix if isinstance(error, EngineRefused) else _repair(None, [candidate], environ)
        return Probe(
            "engine", candidate.name, candidate.address, works=False, why_not=error.problem, repair=repair
        )


def _probe_embedded(podman: str, environ: Mapping[str, str]) -> Probe:
    name = "Podman, started by r2d"
    try:
        with open_embedded(podman, environ) as engine:
            return _answering(name, podman, engine)
    except R2DError as error:
        return Probe("engine", name, podman, works=False, why_not=error.problem, repair=error.fix)


def _answering(name: str, place: str, engine: EngineApi) -> Probe:
    return Probe(
        "engine",
        name,
        place,
        works=True,
        version=engine.facts.name,
        builder=engine.facts.builder,
        free_bytes=engine.free_bytes(),
    )


def _probe_programs(environ: Mapping[str, str], root: Path) -> Iterator[Probe]:
    podman = shutil.which("podman", path=environ.get("PATH", ""))
    yield _program("podman", podman, "Podman is not installed.", _INSTALL.get(_installer(environ) or ""))
    if podman is None:
        return
    machine = read_machine(environ, root)
    runc, crun = runtime_path("runc", environ), runtime_path("crun", environ)
    yield _program("runc", runc, "not installed", None if crun else "sudo apt-get install -y runc")
    if crun and not machine.unified_cgroups:
        why = "crun does not work with this kernel's cgroups of version 1"
        yield Probe(
            "program",
            "crun",
            crun,
            works=False,
            why_not=why,
            repair=None if runc else "sudo apt-get install -y runc",
        )
    else:
        yield _program("crun", crun, "not installed", None if runc else "sudo apt-get install -y crun")
    if os.geteuid() != 0:
        newuidmap = shutil.which("newuidmap", path=environ.get("PATH", ""))
        yield _program(
            "newuidmap", newuidmap, "needed for Podman without root", "sudo apt-get install -y uidmap"
        )


def _program(name: str, path: str | None, why_not: str, repair: str | None) -> Probe:
    if path:
        return Probe("program", name, path, works=True)
    return Probe("program", name, None, works=False, why_not=why_not, repair=repair)
