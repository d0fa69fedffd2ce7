"""What the stories of fetching are told with."""

import subprocess
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from r2d.events import Event
from r2d.sources import Checkout, Network, checkout, recognise
from r2d.sources.git import RecognisedGit
from r2d.sources.mercurial import RecognisedMercurial

AUTHOR = {
    "GIT_AUTHOR_NAME": "A",
    "GIT_AUTHOR_EMAIL": "a@example.org",
    "GIT_COMMITTER_NAME": "A",
    "GIT_COMMITTER_EMAIL": "a@example.org",
}


@dataclass
class Upstream:
    """A repository somebody works in, and the bare one that is published."""

    work: Path
    published: Path
    environment: dict[str, str]

    def git(self, *arguments: str) -> str:
        """Run git in the work folder."""
        command = ["git", "-c", "protocol.file.allow=always", *arguments]
        done = subprocess.run(
            command, cwd=self.work, env=self.environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def commit(self, files: Mapping[str, str], message: str = "change") -> str:
        """Write files and commit them; the commit's hash."""
        for name, content in files.items():
            path = self.work / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")

    def publish(self) -> None:
        """Bring every ref to the bare repository."""
        self.git("push", "--quiet", "--mirror", str(self.published))

    def allow(self, *, any_commit: bool = False, reachable: bool = False, filters: bool = False) -> None:
        """What the published repository gives out beyond its refs."""
        for name, value in (
            ("uploadpack.allowAnySHA1InWant", any_commit),
            ("uploadpack.allowReachableSHA1InWant", reachable),
            ("uploadpack.allowFilter", filters),
        ):
            subprocess.run(["git", "-C", self.published, "config", name, str(value).lower()], check=True)


@dataclass
class Machine:
    """A machine without settings of its own, that remembers which programs ran and what was said."""

    folder: Path
    environment: dict[str, str]
    events: list[Event] = field(default_factory=list)
    git_credentials: str | None = None
    timeout: float = 10.0
    pauses: tuple[float, ...] = (0.01, 0.01)
    keep: bool = False
    _open: ExitStack = field(default_factory=ExitStack)

    @property
    def network(self) -> Network:
        return Network(
            environment=self.environment, git_credentials=self.git_credentials, timeout=self.timeout
        )

    def fetch(self, text: str, ref: str | None = None, subdir: str = "") -> Checkout:
        """The checkout of what the text names; it stays until the test ends."""
        source = recognise(text, ref=ref, working_folder=self.folder, subdir=subdir)
        if isinstance(source, RecognisedGit | RecognisedMercurial):
            source = replace(source, pauses=self.pauses)
        return self._open.enter_context(
            checkout(
                source,
                temporary_root=self.folder / "temporary",
                keep=self.keep,
                network=self.network,
                emit=self.events.append,
            )
        )

    def clean_up(self) -> None:
        """Leave all checkouts."""
        self._open.close()

    @property
    def left(self) -> list[str]:
        """The temporary folders that are there."""
        return [path.name for path in (self.folder / "temporary").iterdir()]

    @property
    def calls(self) -> str:
        """All arguments of every git that ran."""
        log = self.folder / "calls.log"
        return log.read_text() if log.exists() else ""

    def git(self, where: Path, *arguments: str) -> str:
        """Run git in a checkout, as a user would."""
        command = ["git", *arguments]
        done = subprocess.run(
            command, cwd=where, env=self.environment, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()


@dataclass(frozen=True)
class SshServer:
    """An sshd for this user alone."""

    port: int
    key: Path
    known_hosts: Path
    user: str
