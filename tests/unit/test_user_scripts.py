"""postBuild runs once, last, as the user; start runs at every start."""

import pytest

from r2d.plan import Env, Run, Stage
from r2d.testing import plan_of, target
from tests.conftest import RepoWith


@pytest.mark.parametrize("file", ["postBuild", "binder/postBuild", ".binder/postBuild"])
def test_post_build_runs_last_as_the_user_in_the_repository(repo_with: RepoWith, file: str) -> None:
    (step,) = plan_of(repo_with({file: "true"})).at(Stage.AFTER)

    assert isinstance(step, Run)
    assert step.args == (file,)
    assert step.in_repository
    assert not step.as_root
    assert step.why == f"Run {file}"


@pytest.mark.parametrize("file", ["start", "binder/start"])
def test_start_is_named_by_its_whole_path(repo_with: RepoWith, file: str) -> None:
    plan = plan_of(repo_with({file: ""}), made_for=target(user="rosalind"))

    assert plan.at(Stage.AFTER) == (Env((("R2D_ENTRYPOINT", f"/home/rosalind/{file}"),)),)


def test_folders_of_these_names_are_no_scripts(repo_with: RepoWith) -> None:
    assert plan_of(repo_with({"postBuild/": "", "start/": ""})).at(Stage.AFTER) == ()


def test_what_the_scripts_say_is_no_matter_of_the_plan(repo_with: RepoWith) -> None:
    keys = [plan_of(repo_with({"postBuild": text})).keys(target()) for text in ("one", "other")]

    assert keys[0] == keys[1]
