"""From a checkout to what is handed to an engine: keys, names, what stays out."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from r2d.engines.fake import FakeEngine
from r2d.errors import UnsupportedRepository
from r2d.events import BuildStarted, ImageReused
from r2d.origins import Origins
from r2d.pipeline import Wishes, built, ignore_rules, recipe, understood
from r2d.plan import Plan, Run, Stage, Target
from r2d.sources.protocol import Checkout
from r2d.testing import repository_with, target
from tests.conftest import Heard


def checkout(folder: Path, files: Mapping[str, str | bytes]) -> Checkout:
    return Checkout(repository_with(folder, files).root, "local", None)


def plan_for(found: Checkout, made_for: Target) -> Plan:
    return understood(found, made_for, Origins())[1]


def build(engine: FakeEngine, found: Checkout, made_for: Target, uv: Path, **more: object) -> Heard:
    heard = Heard()
    wishes = Wishes(name="me/paper")
    origins = Origins(**more)  # type: ignore[arg-type]
    made = recipe(found, plan_for(found, made_for), made_for, wishes, origins, lambda _name: uv)
    built(engine, found, made, wishes, made_for, heard)
    return heard


@pytest.fixture
def uv(tmp_path: Path) -> Path:
    stand_in = tmp_path / "uv"
    stand_in.write_bytes(b"uv")
    return stand_in


@pytest.fixture
def engine() -> FakeEngine:
    engine = FakeEngine()
    engine.add_image(target().base.reference)
    return engine


def test_the_same_content_and_options_build_nothing(tmp_path: Path, engine: FakeEngine, uv: Path) -> None:
    found = checkout(tmp_path / "here", {"requirements.txt": "six\n"})

    assert build(engine, found, target(), uv).of(BuildStarted)
    assert build(engine, found, target(), uv).of(ImageReused)
    assert len(engine.builds) == 1


@pytest.mark.parametrize(
    "other",
    [
        replace(target(), platform="linux/arm64"),
        replace(target(), uid=1001),
        replace(target(), repo_dir="/srv/repo"),
    ],
)
def test_another_target_is_another_image(tmp_path: Path, engine: FakeEngine, uv: Path, other: Target) -> None:
    found = checkout(tmp_path / "here", {"requirements.txt": "six\n"})
    build(engine, found, target(), uv)

    assert build(engine, found, other, uv).of(BuildStarted)


def test_a_changed_file_is_another_image(tmp_path: Path, engine: FakeEngine, uv: Path) -> None:
    found = checkout(tmp_path / "here", {"a.ipynb": "1"})
    build(engine, found, target(), uv)
    (found.folder / "a.ipynb").write_text("2")

    assert build(engine, found, target(), uv).of(BuildStarted)


def test_how_the_network_is_reached_makes_no_other_image(
    tmp_path: Path, engine: FakeEngine, uv: Path
) -> None:
    found = checkout(tmp_path / "here", {"requirements.txt": "six\n"})
    build(engine, found, target(), uv)

    assert build(engine, found, target(), uv, https_proxy="http://proxy.example:3128").of(ImageReused)


def test_git_and_mercurial_stay_out_wherever_they_are(tmp_path: Path) -> None:
    found = checkout(tmp_path, {".git/HEAD": "", "sub/.git": "gitdir: x", ".hg/dirstate": "", "a.py": ""})
    rules = ignore_rules(found, keep_git=False)

    assert [
        path for path in (".git/HEAD", "sub/.git", ".hg/dirstate", "a.py") if not rules.excludes(path)
    ] == ["a.py"]
    assert not ignore_rules(found, keep_git=True).excludes(".git/HEAD")


def test_what_runs_stays_in_whatever_is_ignored(tmp_path: Path) -> None:
    found = checkout(tmp_path, {".dockerignore": "*\n", "postBuild": "true\n", "data.csv": ""})
    rules = ignore_rules(found, keep_git=False)

    assert rules.excludes("data.csv")
    assert not rules.excludes("postBuild")


def test_a_package_that_the_standard_installs_is_refused_and_not_left_out(tmp_path: Path) -> None:
    package = '[project]\nname = "x"\nversion = "1"\n\n[build-system]\nrequires = ["hatchling"]\n'
    found = checkout(tmp_path, {"pyproject.toml": package, "requirements.txt": "six\n"})

    with pytest.raises(UnsupportedRepository) as caught:
        plan_for(found, target())

    assert caught.value.where == "pyproject.toml"


def test_a_package_that_the_requirements_install_is_fine(tmp_path: Path) -> None:
    package = '[project]\nname = "x"\nversion = "1"\n\n[build-system]\nrequires = ["hatchling"]\n'
    found = checkout(tmp_path, {"pyproject.toml": package, "requirements.txt": "-e .\n"})

    assert plan_for(found, target()).ignored == ()


@pytest.mark.parametrize(
    ("files", "because"),
    [
        ({".python-version": "3.11\n"}, "runtime.txt"),
        ({"runtime.txt": "python-3.12-2024-01-01\n"}, "2024-01-01"),
        ({"requirements.txt": "six\n", "uv.lock": ""}, "does not read it"),
        ({"binder/": "", ".dockerignore": "data\n"}, "binder/"),
    ],
)
def test_what_is_there_and_not_used_is_said(tmp_path: Path, files: dict[str, str], because: str) -> None:
    (ignored,) = plan_for(checkout(tmp_path, files), target()).ignored

    assert because in ignored.because


def test_packages_that_may_lie_in_the_repository_wait_for_it(tmp_path: Path) -> None:
    plan = plan_for(
        checkout(tmp_path, {"requirements.txt": "--find-links ./wheels\nmine==1.0\n", "wheels/x": ""}),
        target(),
    )

    assert plan.at(Stage.DEPENDENCIES) == ()
    assert any(isinstance(step, Run) for step in plan.at(Stage.PROJECT))
