"""The examples, what each promises, and the base images they are planned for."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

from r2d.bases import MADE_HERE, default_base, known_base
from r2d.plan import Base, Target

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Example:
    """A small repository and its expect.toml."""

    folder: Path
    about: str
    found: tuple[str, ...]
    command: tuple[str, ...]
    output: str
    notebook: str
    ignored: tuple[str, ...] = ()
    python: str | None = None  # the minor version, where the repository decides it
    needs: str | None = None  # what a machine must have for it, in words

    @property
    def name(self) -> str:
        return self.folder.name


def read_example(folder: Path) -> Example:
    """An example; a key nobody knows is an error, and so is one that is missing."""
    said = tomllib.loads((folder / "expect.toml").read_text(encoding="utf-8"))
    lists = {key: tuple(value) for key, value in said.items() if isinstance(value, list)}
    return Example(folder, **{**said, **lists})


EXAMPLES = tuple(read_example(file.parent) for file in sorted(ROOT.glob("examples/*/expect.toml")))


def _known(reference: str) -> Base:
    base = known_base(reference)
    assert base, reference
    return base


TARGETS = {
    "trixie": Target(_known(f"{MADE_HERE}:debian-trixie")),
    "default": Target(default_base()),
    "bookworm": Target(_known(f"{MADE_HERE}:debian-bookworm")),
}
