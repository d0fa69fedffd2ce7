"""Plans add up, and the keys of their stages depend on what shapes a layer and on nothing else."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import r2d
from r2d.plan import (
    Apt,
    Base,
    Cache,
    Chosen,
    ContextFile,
    Env,
    Ignored,
    OnPath,
    Plan,
    Run,
    Stage,
    Target,
    as_data,
    steps,
    total,
)
from r2d.testing import TRIXIE, plan_of, repository_with, target
from tests.conftest import RepoWith

SCRIPT = ContextFile("install.sh", b"echo one\n")
EVERY_KIND_OF_FILE = {
    "requirements.txt": "numpy\n",
    "apt.txt": "git vim\n",
    "postBuild": "#!/bin/bash\ntrue\n",
    "start": '#!/bin/bash\nexec "$@"\n',
}


def keys(plan: Plan, made_for: Target | None = None) -> dict[Stage, str]:
    return plan.keys(made_for or target())


def run(**differences: object) -> Plan:
    step = replace(Run(SCRIPT, args=("a",), why="Install things"), **differences)  # type: ignore[arg-type]
    return steps(Stage.TOOLCHAIN, step)


def test_plans_add_up_in_order() -> None:
    first = steps(Stage.BASE, Env((("A", "1"),))) + Plan(chosen=(Chosen("python", "3.12", "asked for"),))
    second = steps(Stage.BASE, OnPath(("/x",))) + Plan(ignored=(Ignored("Pipfile", "another comes first"),))

    both = first + second

    assert both.at(Stage.BASE) == (Env((("A", "1"),)), OnPath(("/x",)))
    assert both.chosen == first.chosen
    assert both.ignored == second.ignored
    assert total([first, second]) == both
    assert total([]) == Plan()


@given(st.permutations([Apt(("vim", "git")), Apt(("git", "curl")), Env((("A", "1"),)), OnPath(("/x",))]))
def test_the_packages_of_a_stage_come_first_merged_and_sorted(shuffled: list[Apt | Env | OnPath]) -> None:
    together = steps(Stage.SYSTEM, *shuffled).at(Stage.SYSTEM)

    assert together[0] == Apt(("curl", "git", "vim"))
    assert list(together[1:]) == [step for step in shuffled if not isinstance(step, Apt)]


def test_packages_are_merged_within_a_stage_and_not_across_stages() -> None:
    plan = steps(Stage.SYSTEM, Apt(("git",))) + steps(Stage.TOOLCHAIN, Apt(("git",)))

    assert plan.at(Stage.SYSTEM) == plan.at(Stage.TOOLCHAIN) == (Apt(("git",)),)


def test_a_stage_without_packages_installs_none() -> None:
    assert steps(Stage.SYSTEM, Apt(())).at(Stage.SYSTEM) == ()


def test_the_order_of_packages_and_the_words_for_people_change_no_key() -> None:
    assert keys(steps(Stage.SYSTEM, Apt(("git", "vim")))) == keys(steps(Stage.SYSTEM, Apt(("vim", "git"))))
    assert keys(run()) == keys(run(why="Quite other words")) == keys(run(why=""))
    assert keys(run() + Plan(chosen=(Chosen("a", "b", "c"),))) == keys(run())
    assert keys(run(), target(base=replace(TRIXIE, because="another reason"))) == keys(run())


@pytest.mark.parametrize(
    "difference",
    [
        {"script": replace(SCRIPT, content=b"echo two\n")},
        {"script": replace(SCRIPT, executable=True)},
        {"args": ("b",)},
        {"args": ("a", "")},
        {"as_root": True},
        {"in_repository": True},
        {"files": (ContextFile("lock.txt", b""),)},
        {"caches": (Cache("uv"),)},
        {"tools": ("uv",)},
        {"variables": (("A", "1"),)},
    ],
    ids=lambda difference: next(iter(difference)),
)
def test_whatever_shapes_a_layer_changes_its_key_and_those_above_and_none_below(
    difference: dict[str, object],
) -> None:
    before, after = keys(run()), keys(run(**difference))

    changed = {stage for stage in Stage if before[stage] != after[stage]}

    assert changed == {Stage.TOOLCHAIN, Stage.DEPENDENCIES, Stage.PROJECT, Stage.AFTER}


def test_a_key_depends_on_the_stage_below() -> None:
    above = steps(Stage.PROJECT, Env((("A", "1"),)))

    assert keys(above)[Stage.PROJECT] != keys(run() + above)[Stage.PROJECT]


@pytest.mark.parametrize(
    "other",
    [
        target(base=replace(TRIXIE, reference="debian:bookworm")),
        target(platform="linux/arm64"),
        target(uid=1001),
        target(user="rosalind"),
        replace(target(), repo_dir="/srv/repo"),
    ],
    ids=["base", "platform", "uid", "user", "repo_dir"],
)
def test_what_an_image_is_made_for_changes_every_key(other: Target, tmp_path: Path) -> None:
    repository = repository_with(tmp_path, EVERY_KIND_OF_FILE)
    before = plan_of(repository).keys(target())
    after = plan_of(repository, made_for=other).keys(other)

    assert [stage for stage in Stage if before[stage] == after[stage]] == []


def test_neighbouring_values_do_not_run_together() -> None:
    assert keys(run(args=("ab", "c"))) != keys(run(args=("a", "bc")))
    assert keys(steps(Stage.BASE, Env((("A", "B=C"),)))) != keys(steps(Stage.BASE, Env((("A=B", "C"),))))


def test_neither_a_comment_nor_the_place_of_the_repository_changes_a_key(tmp_path: Path) -> None:
    commented = {
        **EVERY_KIND_OF_FILE,
        "requirements.txt": "# for the plots\nnumpy  # fast\n",
        "apt.txt": "vim git",
    }
    here, there = tmp_path / "here", tmp_path / "there" / "and elsewhere"
    first = plan_of(repository_with(here, EVERY_KIND_OF_FILE))
    second = plan_of(repository_with(there, commented))

    assert keys(first) == keys(second)


def test_the_version_of_r2d_changes_no_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repository = repository_with(tmp_path, EVERY_KIND_OF_FILE)
    before = keys(plan_of(repository))
    monkeypatch.setattr(r2d, "__version__", "99.0")

    assert keys(plan_of(repository)) == before


def test_planning_twice_gives_the_same_plan(repo_with: RepoWith) -> None:
    repository = repo_with(EVERY_KIND_OF_FILE)

    assert plan_of(repository) == plan_of(repository)


def test_a_plan_for_machines_is_stable_json(tmp_path: Path) -> None:
    plan = plan_of(repository_with(tmp_path, EVERY_KIND_OF_FILE))

    first, second = (json.dumps(as_data(plan, target()), sort_keys=True) for _ in range(2))
    data = json.loads(first)

    assert first == second
    assert data["format"] == 1
    assert [stage["stage"] for stage in data["stages"]] == [stage.value for stage in Stage]
    assert [stage["key"] for stage in data["stages"]] == list(keys(plan).values())
    assert {"step": "Apt", "packages": ["git", "vim"]} in data["stages"][2]["steps"]
    assert str(tmp_path) not in first


def test_a_plan_for_machines_says_what_the_key_is_made_of() -> None:
    data = as_data(run(), target(base=Base("image", "ubuntu", "24.04", None, "because")))

    assert data["base"]["python"] is None  # type: ignore[index]
    assert "install.sh" in json.dumps(data)
    assert SCRIPT.digest in json.dumps(data)
