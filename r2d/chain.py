"""The ordered chain of buildpacks, and its one verdict per repository."""

from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import cast

from r2d.buildpack import BuildPack, Finding, Role
from r2d.plan import Ignored, Plan, Target, total
from r2d.repository import Repository
from r2d_buildpacks import BUILTIN, unread
from r2d_buildpacks.python.pack import PlainJupyter

ENTRY_POINTS = "r2d.buildpacks"


@dataclass(frozen=True)
class Found:
    """A finding and the buildpack that made it."""

    buildpack: str
    finding: Finding


@dataclass(frozen=True)
class Verdict:
    """What counts of a repository, in the order of the chain, and what does not."""

    found: tuple[Found, ...]
    ignored: tuple[Ignored, ...]

    def plan(self, target: Target) -> Plan:
        """The sum of what the findings want."""
        plan = total(found.finding.plan(target) for found in self.found)
        return Plan(steps=plan.steps, chosen=plan.chosen, ignored=self.ignored + plan.ignored)


def third_party() -> tuple[BuildPack, ...]:
    """Buildpacks of other distributions, by name of their entry points; they come before ours."""
    found = sorted(entry_points(group=ENTRY_POINTS), key=lambda entry: entry.name)
    return tuple(cast(BuildPack, entry.load()()) for entry in found)


def verdict(repository: Repository, packs: Iterable[BuildPack] | None = None) -> Verdict:
    """What the buildpacks find. Exactly one provides Python; one that replaces everything leaves only itself."""
    chain = (*third_party(), *BUILTIN) if packs is None else tuple(packs)
    found = [Found(pack.name, finding) for pack in chain if (finding := pack.detect(repository))]
    counted = _counted(found)
    used = {file for each in counted for file in each.finding.files}
    if not any(each.finding.role is Role.REPLACES for each in counted):
        python = [each.buildpack for each in counted if each.finding.role is Role.PYTHON]
        unread.refuse(repository, used, python_is_described=python != [PlainJupyter.name])
    return Verdict(tuple(counted), tuple(dict.fromkeys(_ignored(repository, found, counted, used))))


def _counted(found: list[Found]) -> list[Found]:
    replacing = [each for each in found if each.finding.role is Role.REPLACES]
    if replacing:
        return replacing[:1]
    python = [each for each in found if each.finding.role is Role.PYTHON]
    return [each for each in found if each.finding.role is Role.ADDS or each is python[0]]


def _ignored(
    repository: Repository, found: list[Found], counted: list[Found], used: set[str]
) -> Iterable[Ignored]:
    winner = next((each for each in counted if each.finding.role is not Role.ADDS), None)
    for each in found:
        for file in each.finding.files:
            if each not in counted and file not in used and winner:
                yield Ignored(file, f"{winner.buildpack} comes first")
    for file in repository.shadowed(*unread.ENVIRONMENT_FILES):
        if file not in used:
            yield Ignored(file, f"{repository.config_folder}/ is there, so only the files in it count")
    if winner and winner.finding.role is not Role.REPLACES:
        yield from unread.ignored(repository, used, instead=winner.finding.because)
