"""The git program, run so that nothing of what it fetches is executed, nobody is asked, and no secret is shown."""

import math
import os
import re
import selectors
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from r2d.errors import ToolMissing
from r2d.events import Emit, Transferred
from r2d.sources.git_address import Credentials
from r2d.sources.git_failures import explain, is_temporary
from r2d.sources.protocol import Network

# What a repository, its server or the user's settings could otherwise make git do.
_SETTINGS = {
    "core.hooksPath": "/dev/null",
    "core.fsmonitor": "false",
    "core.autocrlf": "false",  # the image gets the bytes that were committed
    "core.askPass": "",
    "credential.interactive": "false",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "submodule.recurse": "false",
    "fetch.recurseSubmodules": "false",
    "init.defaultBranch": "main",
    "advice.detachedHead": "false",
    "http.lowSpeedLimit": "100",
}
# Large files are brought by a step of their own, so that their absence has an error of its own.
_POINTERS_ONLY = {"filter.lfs.smudge": "", "filter.lfs.process": "", "filter.lfs.required": "false"}

# Left over from a git that runs us: they would redirect ours to another repository, or print what it sends.
_FOREIGN = re.compile(
    r"GIT_(?!SSH|SSL|CONFIG|EXEC_PATH|PROXY|HTTP|CEILING)|GIT_CONFIG_PARAMETERS|SSH_ASKPASS"
)
_HANDED_OVER = "R2D_GIT_CREDENTIAL"
_HELPER = f'!f() {{ test "$1" = get && printf "%s\\n" "${_HANDED_OVER}"; }}; f'

_TICK = 0.5  # seconds between two looks at a silent program
_PATIENCE = 4  # a server may be silent for this many time-outs while it gathers what to send
_GRACE = 3.0  # seconds to end by oneself
_TAIL = 12_000  # of what git said, enough for its last words
_RECEIVED = re.compile(
    r"(?:Receiving objects|Downloading LFS objects): .*?([\d.]+) (bytes|[KMG]i?B)(?: |,|$)"
)
_UNITS = {"b": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


class ProgramFailed(Exception):
    """A program ended with an error; what it said, without secrets."""

    def __init__(self, said: str) -> None:
        super().__init__(said)
        self.said = said


@dataclass(frozen=True)
class Git:
    """Git in one repository's folder, for one remote repository."""

    folder: Path
    name: str  # of the remote repository, in errors and events
    network: Network
    emit: Emit
    protocols: tuple[str, ...]
    credentials: Credentials | None = field(default=None, repr=False)
    pauses: tuple[float, ...] = (1.0, 4.0)  # before each new attempt after a temporary failure

    def local(self, *arguments: str) -> str:
        """Run git on what is here already."""
        return self._run(arguments, settings=_POINTERS_ONLY, secret=False)

    def remote(self, *arguments: str, settings: Mapping[str, str] = _POINTERS_ONLY) -> str:
        """Run git against the server; try again where the failure may pass."""
        for pause in (*self.pauses, None):
            try:
                return self._run(arguments, settings=settings, secret=True)
            except ProgramFailed as failed:
                if pause is None or not is_temporary(failed.said):
                    raise
                time.sleep(pause)
        raise AssertionError("the last attempt returns or raises")

    @contextmanager
    def told(self) -> Iterator[None]:
        """What git says inside the block becomes an error with a remedy."""
        try:
            yield
        except ProgramFailed as failed:
            raise explain(failed.said, self.name) from failed

    def _run(self, arguments: tuple[str, ...], *, settings: Mapping[str, str], secret: bool) -> str:
        environment = _environment(self.network, self.protocols)
        chosen = {**_SETTINGS, **settings, "http.lowSpeedTime": str(max(1, round(self.network.timeout)))}
        options = [part for name, value in chosen.items() for part in ("-c", f"{name}={value}")]
        if secret and self.credentials:
            options += _helper(self.credentials, environment)
        if secret and self._ssh_command:
            environment["GIT_SSH_COMMAND"] = self._ssh_command
        command = [program("git", self.network), *options, *arguments]
        secrets = self.credentials.secrets if self.credentials else ()
        patience = self.network.timeout * _PATIENCE if secret else math.inf
        return Conversation(command, self.folder, environment, patience, self._progress, secrets).output()

    @cached_property
    def _ssh_command(self) -> str | None:
        """The user's way to call ssh, kept from asking; None where it is a client of another kind."""
        environment = self.network.environment
        if "GIT_SSH" in environment and "GIT_SSH_COMMAND" not in environment:
            return None
        try:
            configured = self.local("config", "--get", "core.sshCommand").strip()
        except ProgramFailed:  # there is no such setting
            configured = ""
        command = environment.get("GIT_SSH_COMMAND") or configured or "ssh"
        if Path(command.split()[0]).name != "ssh":
            return None if not environment.get("GIT_SSH_COMMAND") else command
        return f"{command} -o BatchMode=yes -o ConnectTimeout={max(1, round(self.network.timeout))}"

    def _progress(self, line: str) -> None:
        if match := _RECEIVED.match(line):
            size = round(float(match[1]) * _UNITS[match[2][0]])
            self.emit(Transferred(what=self.name, done=size, total=None))


def program(name: str, network: Network) -> str:
    """Where a program is."""
    if found := shutil.which(name, path=network.environment.get("PATH", os.defpath)):
        return found
    raise ToolMissing(
        f"The program {name} is not installed, and this source needs it.",
        fix=f"Install {name} with the system's package manager.",
    )


def _environment(network: Network, protocols: tuple[str, ...]) -> dict[str, str]:
    kept = {name: value for name, value in network.environment.items() if not _FOREIGN.match(name)}
    allowed = network.environment.get("GIT_ALLOW_PROTOCOL", ":".join(protocols)).split(":")
    ours = {
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "",
        "SSH_ASKPASS_REQUIRE": "never",
        "GCM_INTERACTIVE": "never",
        "GIT_ALLOW_PROTOCOL": ":".join(name for name in protocols if name in allowed),
        "GIT_LFS_FORCE_PROGRESS": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        "LC_ALL": "C",
    }
    authority = {"GIT_SSL_CAINFO": str(network.ca_bundle)} if network.ca_bundle else {}
    return {"PATH": os.defpath, **kept, **ours, **authority}


def _helper(credentials: Credentials, environment: dict[str, str]) -> list[str]:
    key = f"credential.{credentials.server}"
    if credentials.password is None:
        # The name may be a token, so it goes where no list of processes shows it; who knows the
        # password is one of the user's own helpers.
        given = environment.get("GIT_CONFIG_COUNT", "")
        count = int(given) if given.isdecimal() else 0
        environment[f"GIT_CONFIG_KEY_{count}"] = f"{key}.username"
        environment[f"GIT_CONFIG_VALUE_{count}"] = credentials.username or ""
        environment["GIT_CONFIG_COUNT"] = str(count + 1)
        return []
    known = {"username": credentials.username, "password": credentials.password}
    environment[_HANDED_OVER] = "\n".join(f"{name}={value}" for name, value in known.items() if value)
    # The empty one switches the user's helpers off: they would keep the password for later.
    return ["-c", f"{key}.helper=", "-c", f"{key}.helper={_HELPER}"]


@dataclass
class Conversation:
    """One run of a program: its output collected, its progress reported, its end assured."""

    command: list[str]
    folder: Path
    environment: dict[str, str]
    patience: float
    progress: Callable[[str], None]
    secrets: tuple[str, ...]
    _said: dict[str, bytearray] = field(default_factory=lambda: {"out": bytearray(), "err": bytearray()})

    def output(self) -> str:
        """What the program wrote; ProgramFailed with its last words when it failed."""
        running = subprocess.Popen(
            self.command,
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            # Without a terminal nothing it starts can ask; as a group they all end together.
            start_new_session=True,
        )
        try:
            self._listen(running)
            status = running.wait()
        except BaseException:
            _end(running)
            raise
        finally:
            for pipe in (running.stdout, running.stderr):
                if pipe:
                    pipe.close()
        if status:
            raise ProgramFailed(self._scrubbed(self._said["err"]))
        return self._said["out"].decode("utf-8", "surrogateescape")

    def _listen(self, running: "subprocess.Popen[bytes]") -> None:
        heard, last = time.monotonic(), b""
        with selectors.DefaultSelector() as pipes:
            pipes.register(running.stdout or 0, selectors.EVENT_READ, "out")
            pipes.register(running.stderr or 0, selectors.EVENT_READ, "err")
            while pipes.get_map():
                for key, _ in pipes.select(_TICK):
                    chunk = os.read(key.fd, 65536)
                    # To say the same again is silence: git-lfs shows its progress while nothing moves.
                    if chunk != last:
                        heard, last = time.monotonic(), chunk
                    if not chunk:
                        pipes.unregister(key.fileobj)
                    elif key.data == "err":
                        self._hear(chunk)
                    else:
                        self._said["out"] += chunk
                silent = time.monotonic() - heard
                if silent > _TICK and running.poll() is not None:
                    return  # an ssh that stays for later connections holds the pipes open
                if silent > self.patience:
                    raise ProgramFailed(f"Operation timed out: silent for {silent:.0f} seconds")

    def _hear(self, chunk: bytes) -> None:
        said = self._said["err"]
        said += chunk
        for line in chunk.replace(b"\r", b"\n").splitlines():
            self.progress(line.decode("utf-8", "replace"))
        del said[:-_TAIL]

    def _scrubbed(self, said: bytearray) -> str:
        # A first line that was cut could begin in the middle of a secret.
        whole = said if len(said) < _TAIL else said.partition(b"\n")[2]
        text = whole.decode("utf-8", "replace")
        for secret in self.secrets:
            text = text.replace(secret, "***")
        return text


def _end(running: "subprocess.Popen[bytes]") -> None:
    """End the program and all that it started: gently, then surely."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):  # all have ended
            os.killpg(running.pid, number)
        with suppress(subprocess.TimeoutExpired):
            running.wait(_GRACE)
