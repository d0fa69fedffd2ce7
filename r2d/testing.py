"""What our tests and third parties' tests share: a repository from a mapping, a target, a plan of both."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from r2d import chain
from r2d.buildpack import BuildPack
from r2d.plan import Base, Plan, Target
from r2d.repository import Repository

TRIXIE = Base("debian:trixie", "debian", "trixie", "3.13", because="a base for tests")


def repository_with(folder: Path, files: Mapping[str, str | bytes]) -> Repository:
    """A repository of these files; a name that ends in a slash is an empty folder, a script is executable."""
    for name, content in files.items():
        path = folder / name
        if name.endswith("/"):
            path.mkdir(parents=True, exist_ok=True)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        written = content.encode() if isinstance(content, str) else content
        path.write_bytes(written)
        if written.startswith(b"#!"):
            path.chmod(0o755)
    return Repository(folder)


def target(
    *, base: Base = TRIXIE, user: str = "jovyan", uid: int = 1000, platform: str = "linux/amd64"
) -> Target:
    """A target of Debian with a Python 3.13 of its own."""
    return Target(base=base, user=user, uid=uid, repo_dir=f"/home/{user}", platform=platform)


def plan_of(
    repository: Repository, packs: Iterable[BuildPack] | None = None, *, made_for: Target | None = None
) -> Plan:
    """What these buildpacks, or else all that are installed, plan for a repository."""
    return chain.verdict(repository, packs).plan(made_for or target())
