"""Plans and verdicts in words, for a person at a terminal."""

import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING, assert_never

from r2d.plan import Apt, BringRepository, Env, OnPath, Place, Plan, Run, Stage, Step, Target

if TYPE_CHECKING:
    from r2d.chain import Verdict
    from r2d.configuration import Configuration

_INVALIDATED_BY = {
    Stage.BASE: "another base image, user or folder",
    Stage.SERVER: "another Python, or a newer set of server packages in r2d",
    Stage.SYSTEM: "a change of apt.txt",
    Stage.TOOLCHAIN: "another version of a language",
    Stage.DEPENDENCIES: "a change of the packages asked for (not of comments)",
    Stage.PROJECT: "any change in the repository",
    Stage.AFTER: "any change in the repository",
}


def plan_in_words(plan: Plan, target: Target) -> str:
    """The stages and their steps, with their keys."""
    keys = plan.keys(target)
    lines = [f"base image  {target.base.reference}"]
    lines += [f"{choice.what:<11} {choice.value}  ({choice.because})" for choice in plan.chosen]
    lines += [f"ignored     {ignored.file}  ({ignored.because})" for ignored in plan.ignored]
    for stage in Stage:
        if steps := plan.at(stage):
            lines.append("")
            lines.append(f"{stage.value}  {keys[stage][:12]}")
            lines += [f"  {line}" for step in steps for line in step_in_words(step, target)]
    return "\n".join(lines)


def step_in_words(step: Step, target: Target) -> Iterator[str]:
    """What a step does."""
    match step:
        case Apt(packages=packages):
            yield f"install {' '.join(packages)}"
        case Env(variables=variables):
            yield f"set {' '.join(f'{name}={value}' for name, value in variables)}"
        case OnPath(directories=directories):
            yield f"put on PATH {':'.join(directories)}"
        case Place(destination=destination):
            yield f"place {destination}"
        case BringRepository():
            yield f"copy the repository to {target.repo_dir}"
        case Run(why=why, as_root=as_root):
            yield f"{why[:1].lower()}{why[1:]}{' (as root)' if as_root else ''}"
        case _:
            assert_never(step)


def explanation(verdict: "Verdict", plan: Plan, target: Target, settings: "Configuration") -> str:
    """What was found, decided and left out, and what a change will cost."""
    return "\n".join(_explanation(verdict, plan, target, settings))


def _explanation(verdict: "Verdict", plan: Plan, target: Target, settings: "Configuration") -> Iterator[str]:
    yield "Found"
    for found in verdict.found:
        yield from _item(found.finding.because)
    yield "Decided"
    base = target.base
    yield from _item(f"base image {base.reference}: {base.distribution} {base.release} ({base.because})")
    for choice in plan.chosen:
        yield from _item(f"{choice.what} {choice.value}: {choice.because}")
    yield from _item(f"user {target.user} ({target.uid}), repository in {target.repo_dir}")
    set_by_someone = [
        setting for setting in settings.settings if not setting.origin.startswith("r2d's default")
    ]
    if set_by_someone:
        yield "Set"
        for setting in set_by_someone:
            yield from _item(f"{setting.key} = {setting.shown}  ({setting.origin})")
    if plan.ignored:
        yield "Ignored"
        for ignored in plan.ignored:
            yield from _item(f"{ignored.file}: {ignored.because}")
    yield "Built in stages, each done again only after"
    for stage in Stage:
        if plan.at(stage):
            yield from _item(f"{stage.value:<13} {_INVALIDATED_BY[stage]}")


def _item(text: str) -> list[str]:
    return textwrap.wrap(
        text, width=100, initial_indent="  ", subsequent_indent="      ", break_long_words=False
    )
