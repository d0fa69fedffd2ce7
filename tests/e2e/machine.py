"""A machine with r2d and an engine on it: commands, running servers, what an image says when it is asked."""

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any
from urllib.parse import parse_qs, urlsplit

import docker
from docker.models.containers import Container

from r2d.engines.protocol import Engine, Image

R2D = Path(sys.executable).with_name("r2d")
PATIENCE = 240  # seconds; a first build on a slow network, with room to spare

Said = dict[str, Any]
Completed = subprocess.CompletedProcess[str]


@dataclass
class Running:
    """An r2d that was started with `--progress json`, and the events it tells."""

    process: "subprocess.Popen[str]"
    events: list[Said] = field(default_factory=list)
    _coming: "queue.Queue[Said | None]" = field(default_factory=queue.Queue)

    def __post_init__(self) -> None:
        threading.Thread(target=self._listen, args=(self.process.stderr,), daemon=True).start()

    def _listen(self, stream: IO[str]) -> None:
        for line in stream:
            try:
                self._coming.put(json.loads(line))
            except ValueError:
                self._coming.put({"event": "no JSON", "line": line})
        self._coming.put(None)

    def until(self, name: str, where: Callable[[Said], bool] = lambda _said: True) -> Said:
        """Wait for an event; all until then are kept."""
        while (said := self._coming.get(timeout=PATIENCE)) is not None:
            self.events.append(said)
            if said["event"] == name and where(said):
                return said
        raise AssertionError(f"r2d ended without {name}:\n{self.last_words()}")

    def ended_by(self, number: signal.Signals) -> int:
        """Send a signal and wait for the end; the exit code."""
        self.process.send_signal(number)
        return self.ended()

    def ended(self) -> int:
        """Wait for the end; the exit code."""
        code = self.process.wait(PATIENCE)
        while (said := self._coming.get(timeout=PATIENCE)) is not None:
            self.events.append(said)
        assert not [said for said in self.events if said["event"] == "no JSON"], self.last_words()
        return code

    def last_words(self) -> str:
        """The end of what was told, for a test that failed."""
        return "\n".join(str(event)[:400] for event in self.events[-30:])


@dataclass(frozen=True)
class Server:
    """A Jupyter that answers."""

    url: str
    container: str
    running: Running

    @property
    def address(self) -> str:
        """Where it is, without a path."""
        return f"http://{urlsplit(self.url).netloc}"

    @property
    def token(self) -> str:
        return parse_qs(urlsplit(self.url).query)["token"][0]


@dataclass
class Machine:
    """r2d with settings of its own and one engine."""

    name: str  # "docker", "podman"
    engine: Engine
    base: str
    folder: Path
    _built: dict[tuple[Path, tuple[str, ...]], str] = field(default_factory=dict)
    _names: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.client = docker.DockerClient(base_url=self.engine.facts.address, timeout=PATIENCE)
        for name in ("config/r2d", "cache", "runtime", "tmp"):
            (self.folder / name).mkdir(parents=True)
        self.settings.write_text(f'engine = "{self.name}"\nbase_image = "{self.base}"\n')

    @property
    def settings(self) -> Path:
        """The user's r2d.toml."""
        return self.folder / "config/r2d/r2d.toml"

    @property
    def environment(self) -> dict[str, str]:
        """This machine's environment, with nothing in it of the person who runs the tests."""
        own = {f"XDG_{name.upper()}_HOME": str(self.folder / name) for name in ("config", "cache")}
        own["XDG_RUNTIME_DIR"] = str(self.folder / "runtime")
        # Podman keeps the caches of a build below TMPDIR: an own one would make every build a first one.
        temporary = {"TMPDIR": str(self.folder / "tmp")} if self.name == "docker" else {}
        dropped = {"DOCKER_HOST", "DOCKER_CONTEXT"}
        return {key: value for key, value in os.environ.items() if key not in dropped} | own | temporary

    def left_behind(self) -> list[str]:
        """What r2d left in the folders for temporary things."""
        return [str(path) for name in ("tmp", "runtime") for path in (self.folder / name).glob("r2d*")]

    def r2d(
        self,
        *arguments: str | Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        check: bool = False,
    ) -> Completed:
        """Run r2d to its end."""
        done = subprocess.run(
            [R2D, *map(str, arguments)],
            env={**self.environment, **(env or {})},
            cwd=cwd,
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
            timeout=PATIENCE * 2,
        )
        if check and done.returncode:
            raise AssertionError(f"r2d ended with {done.returncode}:\n{done.stdout}{done.stderr[-4000:]}")
        return done

    @contextmanager
    def starting(self, *arguments: str | Path, env: Mapping[str, str] | None = None) -> Iterator[Running]:
        """Start r2d; whatever a test does, it does not outlive the block."""
        command, *rest = map(str, arguments)
        process = subprocess.Popen(
            [R2D, command, "--progress", "json", *rest],
            env={**self.environment, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            yield Running(process)
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait(PATIENCE)

    @contextmanager
    def serving(
        self,
        *arguments: str | Path,
        end: signal.Signals = signal.SIGINT,
        env: Mapping[str, str] | None = None,
    ) -> Iterator[Server]:
        """`r2d run` until its server answers; in the end it is stopped as a person would, and all is gone."""
        with self.starting("run", *arguments, env=env) as running:
            container = running.until("container_started")["id"]
            ready = running.until("server_ready")
            yield Server(ready["url"], container, running)
            assert running.ended_by(end) == 128 + end
            assert not self.has_container(container)

    def has_container(self, identity: str) -> bool:
        return any(each.id == identity for each in self.client.containers.list(all=True))

    # --- images

    def new_name(self) -> str:
        """A name for an image that goes when the tests end."""
        name = f"r2d-e2e/{uuid.uuid4().hex[:12]}"
        self.remove_in_the_end(name)
        return name

    def remove_in_the_end(self, name: str) -> None:
        """Take an image away when the tests end."""
        self._names.append(name)

    def build(self, repository: Path, *options: str) -> str:
        """The name of a repository's image, built once for all tests."""
        wanted = (repository, options)
        if wanted not in self._built:
            name = self.new_name()
            self.r2d("build", "--progress", "plain", "-t", name, *options, repository, check=True)
            self._built[wanted] = name
        return self._built[wanted]

    def build_events(self, *arguments: str | Path, code: int = 0) -> list[Said]:
        """Build, and hand back what was told."""
        done = self.r2d("build", "--progress", "json", *arguments)
        assert done.returncode == code, done.stderr[-4000:]
        return [json.loads(line) for line in done.stderr.splitlines()]

    def image(self, name: str) -> Image:
        found = self.engine.find(name)
        assert found, f"there is no image {name}"
        return found

    def tell(self, image: str, *command: str, **options: Any) -> str:
        """What a command in a fresh container of an image prints."""
        options.setdefault("network_mode", "none")
        with self.container(image, *command, **options) as container:
            code = container.wait()["StatusCode"]
            out, err = (container.logs(stdout=out, stderr=not out).decode() for out in (True, False))
        assert code == 0, f"{command} ended with {code}:\n{out}{err}"
        return out.strip()

    @contextmanager
    def container(self, image: str, *command: str, **options: Any) -> Iterator[Container]:
        """A container of an image, as a hub would start it: r2d is not asked."""
        identity = self.image(image).id
        container = self.client.containers.create(identity, list(command) or None, **options)
        try:
            container.start()
            yield container
        finally:
            container.remove(force=True, v=True)

    def sweep(self) -> None:
        for name in self._names:
            with suppress(Exception):
                self.engine.remove_image(name)
        self.client.close()
        self.engine.close()


def steps(events: list[Said]) -> dict[str, bool]:
    """Every step that ended well, by name: whether it was cached."""
    return {said["name"]: said["cached"] for said in events if said["event"] == "step_finished"}


def step_named(events: list[Said], words: str) -> bool:
    """Whether the one step whose name holds these words was cached."""
    (cached,) = [cached for name, cached in steps(events).items() if words in name]
    return cached
