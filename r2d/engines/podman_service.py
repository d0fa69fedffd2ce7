"""The embedded default: Podman's own service on a private socket, for the length of one command."""

import atexit
import os
import resource
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from r2d.errors import EngineAbsent

# What Podman gives a container unless told otherwise; above the hard limit of the machine every step would fail.
_PODMAN_LIMIT = 1_048_576
# The kernel refuses a process limit near its own number of process ids; this many are enough for any build.
_MOST_PROCESSES = 30_000
_START_SECONDS = 30
_END_SECONDS = 20
_STEPS_SECONDS = 5
_QUIET_SECONDS = 0.3
_LONGEST_SOCKET_PATH = 100  # bytes; the kernel's own limit is 107
_SUPERVISOR = Path(__file__).with_name("podman_service.sh")


@dataclass(frozen=True)
class Machine:
    """What decides how Podman must be set up here."""

    open_files: int
    processes: int
    unified_cgroups: bool
    systemd: bool
    runtimes: frozenset[str]


def read_machine(environ: Mapping[str, str], root: Path = Path("/")) -> Machine:
    """Look at this machine."""
    return Machine(
        open_files=_limit(resource.RLIMIT_NOFILE),
        processes=_limit(resource.RLIMIT_NPROC),
        unified_cgroups=(root / "sys/fs/cgroup/cgroup.controllers").exists(),
        systemd=(root / "run/systemd/system").exists(),
        runtimes=frozenset(name for name in ("crun", "runc") if runtime_path(name, environ)),
    )


def runtime_path(name: str, environ: Mapping[str, str]) -> str | None:
    """Where a container runtime is; Podman looks into the folders of the system's own programs too."""
    return shutil.which(name, path=f"{environ.get('PATH', '')}:/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/bin")


def containers_conf(machine: Machine) -> str:
    """A containers.conf with which Podman's builds and containers work on this machine."""
    containers: list[str] = []
    engine: list[str] = []
    if min(machine.open_files, machine.processes) < _PODMAN_LIMIT:
        files = min(machine.open_files, _PODMAN_LIMIT)
        processes = min(machine.processes, _MOST_PROCESSES)
        limits = f'"nofile={files}:{files}", "nproc={processes}:{processes}"'
        containers.append(f"default_ulimits = [{limits}]")
    # crun refuses cgroups of version 1, alone or beside version 2.
    if "runc" in machine.runtimes and (not machine.unified_cgroups or "crun" not in machine.runtimes):
        engine.append('runtime = "runc"')
    if not machine.systemd:
        containers.append('log_driver = "k8s-file"')
        engine += ['cgroup_manager = "cgroupfs"', 'events_logger = "file"']
    return "\n".join(["[containers]", *containers, "[engine]", *engine, ""])


def storage_conf(store: Path, runtime: Path) -> str:
    """A storage.conf for a user without one: the default without a FUSE device would copy every layer in full."""
    return f'[storage]\ndriver = "overlay"\ngraphroot = "{_toml(store)}"\nrunroot = "{_toml(runtime)}"\n'


class PodmanService:
    """A running service of our own."""

    def __init__(self, process: subprocess.Popen[bytes], address: str, folder: Path) -> None:
        self.address = address
        self._process = process
        self._folder = folder
        atexit.register(self.close)

    @property
    def pid(self) -> int:
        """The process that supervises the service."""
        return self._process.pid

    @classmethod
    def start(cls, podman: str, environ: Mapping[str, str], *, is_root: bool) -> Self:
        """Start the service and wait until it answers; EngineAbsent with its own words if it does not."""
        folder = _private_folder(environ)
        path = folder / "podman.sock"
        log = folder / "log"
        settings = {**environ, **_settings(folder, environ, is_root=is_root)}
        command = ["/bin/sh", str(_SUPERVISOR), str(folder)]
        command += [podman, "system", "service", "--time=0", f"unix://{path}"]
        with log.open("wb") as output:
            # A session of its own: a Ctrl-C at the terminal is for r2d, which ends the service in good order.
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                env=settings,
                start_new_session=True,
            )
        service = cls(process, f"unix://{path}", folder)
        try:
            service._wait_for_answer(path, log)
        except BaseException:
            service.close()
            raise
        return service

    def close(self) -> None:
        """End the service and take its folder away; no error when it has ended already."""
        atexit.unregister(self.close)
        if self._process.stdin and not self._process.stdin.closed:
            # The supervisor sees the end of its input, whichever way it comes, and ends the service.
            self._process.stdin.close()
        try:
            self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def end_steps(self) -> None:
        """End the steps of a build that nobody waits for: Podman 4 lets them run on when its client has gone.

        A step that is killed fails, and Podman then cleans up after the build as after any other failure.
        """
        deadline = time.monotonic() + _STEPS_SECONDS
        quiet_since = time.monotonic()
        while time.monotonic() < min(quiet_since + _QUIET_SECONDS, deadline):
            for pid in _step_processes(self._process.pid):
                quiet_since = time.monotonic()
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.02)

    def _wait_for_answer(self, path: Path, log: Path) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while not _accepts(path):
            if "Error" in (words := log.read_text(errors="replace")) or self._process.poll() is not None:
                raise _not_started(words)
            if time.monotonic() > deadline:
                raise _not_started(words or f"it did not answer within {_START_SECONDS} s")
            time.sleep(0.02)


def _step_processes(ancestor: int) -> list[int]:
    """The first process of each step's container: what Podman's own runner of steps has as children."""
    parents = {int(path.parent.name): _parent(path) for path in Path("/proc").glob("[0-9]*/stat")}
    return [
        pid for pid, parent in parents.items() if _is_runner(parent) and _descends(pid, ancestor, parents)
    ]


def _parent(stat: Path) -> int:
    try:
        # The name in parentheses may hold anything, spaces and parentheses too.
        return int(stat.read_text(errors="replace").rpartition(")")[2].split()[1])
    except (OSError, IndexError):
        return 0


def _is_runner(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"buildah-oci-runtime")
    except OSError:
        return False


def _descends(pid: int, ancestor: int, parents: Mapping[int, int]) -> bool:
    while pid not in (0, ancestor):
        pid = parents.get(pid, 0)
    return pid == ancestor


def _settings(folder: Path, environ: Mapping[str, str], *, is_root: bool) -> dict[str, str]:
    """Settings for what the user has not settled: a private file would hide the user's own."""
    settings: dict[str, str] = {}
    home = Path(environ.get("HOME", "/nonexistent"))
    config = Path(environ.get("XDG_CONFIG_HOME") or home / ".config") / "containers"
    own = (config / "containers.conf", Path("/etc/containers/containers.conf"))
    if "CONTAINERS_CONF" not in environ and not any(path.exists() for path in own):
        path = folder / "containers.conf"
        path.write_text(containers_conf(read_machine(environ)))
        settings["CONTAINERS_CONF"] = str(path)
    store = Path(environ.get("XDG_DATA_HOME") or home / ".local/share") / "containers/storage"
    has_storage = "CONTAINERS_STORAGE_CONF" in environ or (config / "storage.conf").exists() or store.exists()
    if not is_root and not has_storage:
        path = folder / "storage.conf"
        runtime = Path(environ.get("XDG_RUNTIME_DIR") or folder) / "containers"
        path.write_text(storage_conf(store, runtime))
        settings["CONTAINERS_STORAGE_CONF"] = str(path)
    if not is_root and "TMPDIR" not in environ:
        # Podman keeps cache mounts in a folder of fixed name there; in the common one it may be another user's.
        temporary = Path(environ.get("XDG_CACHE_HOME") or home / ".cache") / "r2d/podman"
        temporary.mkdir(mode=0o700, parents=True, exist_ok=True)
        settings["TMPDIR"] = str(temporary)
    return settings


def _private_folder(environ: Mapping[str, str]) -> Path:
    """A folder of mode 0700 with a path short enough for a socket in it."""
    wanted = environ.get("XDG_RUNTIME_DIR") or environ.get("TMPDIR")
    is_usable = wanted and len(wanted) + 40 < _LONGEST_SOCKET_PATH and Path(wanted).is_dir()
    return Path(tempfile.mkdtemp(prefix="r2d-podman-", dir=wanted if is_usable else "/tmp"))  # noqa: S108 (mkdtemp)


def _accepts(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
        return True


def _not_started(words: str) -> EngineAbsent:
    last = words.strip().splitlines()[-1:] or ["it ended without a word"]
    return EngineAbsent(
        f"Podman's service could not be started: {last[0]}",
        fix="Run `podman info`: it shows what Podman lacks on this machine; then `r2d doctor`.",
    )


def _limit(which: int) -> int:
    _, hard = resource.getrlimit(which)
    return _PODMAN_LIMIT if hard == resource.RLIM_INFINITY else hard


def _toml(path: Path) -> str:
    return str(path).replace("\\", "\\\\").replace('"', '\\"')
