"""What `r2d doctor` checks, and how it repairs what is missing."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from r2d.errors import BaseImageUnavailable, EngineAbsent, TemporaryFailure, ToolMissing
from r2d.events import Decided, Emit, Warned

if TYPE_CHECKING:
    from r2d.configuration import Configuration
    from r2d.engines.protocol import Engine

# Podman and what it needs beside itself: the program that shows each, and its package in Debian and Ubuntu.
_PODMAN = {"podman": "podman", "runc": "runc"}
_PODMAN_ROOTLESS = {"newuidmap": "uidmap", "slirp4netns": "slirp4netns", "fuse-overlayfs": "fuse-overlayfs"}

FALLBACK_BASE = "debian:trixie"


@dataclass(frozen=True)
class Check:
    """One thing that was looked at."""

    good: bool
    needed: bool  # r2d cannot work without it
    what: str
    found: str
    repair: str | None = None

    @property
    def line(self) -> str:
        mark = "ok " if self.good else "no " if self.needed else "-  "
        remedy = f"\n      repair: {self.repair}" if self.repair and not self.good else ""
        return f"{mark} {self.what}: {self.found}{remedy}"


def diagnosis(settings: "Configuration", environ: Mapping[str, str]) -> Iterator[Check]:
    """Everything r2d needs on this machine, in the order in which it is to be repaired."""
    from r2d.engines.find import probe

    probes = probe(environ)
    engines = [found for found in probes if found.kind == "engine"]
    some_engine = any(found.works for found in engines)
    if not engines:
        yield Check(False, True, "engine", "no container engine is there", "r2d doctor --repair")
    for found in probes:
        facts = [found.version, found.place, found.builder and f"builds with {found.builder}"]
        if found.free_bytes is not None:
            facts.append(f"{found.free_bytes // 1_000_000_000} GB free")
        words = (
            ", ".join(fact for fact in facts if fact) if found.works else (found.why_not or "does not work")
        )
        yield Check(found.works, found.kind == "engine" and not some_engine, found.name, words, found.repair)
    if some_engine:
        yield _base_check(settings)


def _base_check(settings: "Configuration") -> Check:
    from r2d.cli.workspace import base_name, open_engine

    name = base_name(settings)
    with open_engine(settings) as engine:
        if engine.find(settings.origins.image(name)):
            return Check(True, True, "base image", f"{name} is in {engine.facts.name}")
    return Check(
        False,
        False,
        "base image",
        f"{name} is not here yet; the first build fetches it from its registry",
        f"r2d doctor --repair, which makes {FALLBACK_BASE} from the package mirror where no registry answers",
    )


@dataclass(frozen=True)
class Repair:
    """Sets up what is missing: an engine, then a base image. Asks before it installs anything."""

    settings: "Configuration"
    environ: Mapping[str, str]
    emit: Emit
    agree: Callable[[str], bool]

    def everything(self) -> None:
        """Leave a machine on which `r2d REPO` works, or raise with what a person must do."""
        self._engine()
        self._base()

    def _engine(self) -> None:
        from r2d.cli.workspace import open_engine

        try:
            with open_engine(self.settings) as engine:
                self.emit(Decided("engine", engine.facts.name, f"it answers at {engine.facts.address}"))
                return
        except EngineAbsent as error:
            done = self._provide_engine(error)
        with open_engine(self.settings) as engine:
            self.emit(Decided("engine", engine.facts.name, done))

    def _provide_engine(self, absent: EngineAbsent) -> str:
        """Start the Docker that is there, or install what is missing; what was done."""
        from r2d.engines.find import START_DOCKER

        because = absent.problem.splitlines()[0]
        if absent.fix == START_DOCKER:
            because = f"Docker is installed and does not answer. {because}"
            if Path("/run/systemd/system").is_dir():
                self._run(["systemctl", "start", "docker"], because=because)
                return "started just now"
        # An engine that was named, at an address or as Docker, is not replaced by another one.
        packages = () if absent.where or self.settings.engine == "docker" else podman_packages(shutil.which)
        if not packages:
            raise absent
        self._install(packages, because=because)
        return "installed just now"

    def _base(self) -> None:
        from r2d.cli.workspace import base_name, open_engine

        name = base_name(self.settings)
        with open_engine(self.settings) as engine:
            reference = self.settings.origins.image(name)
            if engine.find(reference):
                return
            try:
                engine.pull(reference, self.emit)
            except (BaseImageUnavailable, TemporaryFailure) as error:
                self.emit(
                    Warned(
                        f"{name} cannot be had here: {error.problem}",
                        f"Using {FALLBACK_BASE} instead; to make it takes about a minute.",
                    )
                )
                self._make_base(engine)

    def _make_base(self, engine: "Engine") -> None:
        from r2d.base_factory import create_base, list_bases, missing_packages

        distribution, _, release = FALLBACK_BASE.partition(":")
        there = [
            made
            for made in list_bases(engine)
            if (made.distribution, made.release) == (distribution, release)
        ]
        if there:
            self._use_from_now_on(there[0].reference)
            return
        if missing := missing_packages(FALLBACK_BASE):
            self._install(missing, because="a base image is made from the package mirror")
        image = create_base(engine, FALLBACK_BASE, origins=self.settings.origins, emit=self.emit)
        self._use_from_now_on(image.names[0])

    def _use_from_now_on(self, reference: str) -> None:
        from r2d.configuration import set_user_default, user_config_file

        file = user_config_file(self.environ)
        set_user_default(file, "base_image", reference)
        self.emit(Decided("base image", reference, f"the default from now on, in {file}"))

    def _install(self, packages: tuple[str, ...], *, because: str) -> None:
        if shutil.which("apt-get") is None:
            raise ToolMissing(
                because, fix=f"Install {' '.join(packages)} with your system's package manager."
            )
        # --no-remove: what conflicts with something that is there, Docker's own packages say, stays out.
        install = ["apt-get", "install", "--yes", "--no-install-recommends", "--no-remove", *packages]
        self._run(["apt-get", "update"], install, because=because)

    def _run(self, *commands: list[str], because: str) -> None:
        """Run these as root once the user agreed to the last of them."""
        as_root = [] if os.geteuid() == 0 else ["sudo"]
        lines = [[*as_root, *command] for command in commands]
        main = " ".join(lines[-1])
        if not self.agree(f"{because}\nRun: {main}?"):
            raise ToolMissing(because, fix=main)
        for line in lines:
            ended = subprocess.run(line, check=False, stdin=subprocess.DEVNULL, stdout=sys.stderr)
            if ended.returncode:
                raise ToolMissing(f"`{' '.join(line)}` ended with exit code {ended.returncode}.", fix=main)


def podman_packages(which: Callable[[str], str | None]) -> tuple[str, ...]:
    """What has to be installed for Podman to work for this user; a program that is there is left alone."""
    programs = _PODMAN if os.geteuid() == 0 else _PODMAN | _PODMAN_ROOTLESS
    return tuple(package for program, package in programs.items() if which(program) is None)
