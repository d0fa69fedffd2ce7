"""Every example, as planned for three bases: what was approved, and what its expect.toml promises."""

import json
from pathlib import Path

import pytest

from r2d.events import Detected, Event, IgnoredFile
from r2d.origins import Origins
from r2d.pipeline import Wishes, planned, recipe
from r2d.plan import Plan, Target, as_data
from r2d.sources.protocol import Checkout
from tests.golden.conftest import APPROVED, Approve
from tests.golden.corpus import EXAMPLES, ROOT, TARGETS, Example

of_each_example = pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
for_each_base = pytest.mark.parametrize("base", TARGETS)


def _planned(example: Example, target: Target) -> tuple[Plan, list[Event]]:
    events: list[Event] = []
    plan = planned(_checkout(example), target, Origins(), events.append)
    return plan, events


def _checkout(example: Example) -> Checkout:
    return Checkout(example.folder, source="local", content=None)


@of_each_example
@for_each_base
def test_the_plan_is_the_approved_one(example: Example, base: str, approved: Approve) -> None:
    plan, _ = _planned(example, TARGETS[base])
    shown = json.dumps(as_data(plan, TARGETS[base]), indent=2, ensure_ascii=False)
    approved(f"{example.name}/plan-{base}.json", shown + "\n")


@of_each_example
@for_each_base
def test_the_dockerfile_is_the_approved_one(example: Example, base: str, approved: Approve) -> None:
    target = TARGETS[base]
    plan, _ = _planned(example, target)
    # r2d's own version stands in a label and nowhere else: a release is not to touch every file here.
    wishes = Wishes(labels=(("repo2docker.version", "(r2d's version)"),))
    made = recipe(_checkout(example), plan, target, wishes, Origins(), tool=Path)
    approved(f"{example.name}/Dockerfile-{base}", made.rendered.dockerfile)


@of_each_example
@for_each_base
def test_what_expect_toml_says_is_found_and_ignored_is(example: Example, base: str) -> None:
    plan, events = _planned(example, TARGETS[base])
    assert tuple(event.buildpack for event in events if isinstance(event, Detected)) == example.found
    assert tuple(file.file for file in plan.ignored) == example.ignored
    assert tuple(event.file for event in events if isinstance(event, IgnoredFile)) == example.ignored
    if example.python:
        assert [choice.value for choice in plan.chosen if choice.what == "python"] == [example.python]


@of_each_example
def test_an_example_has_the_notebook_it_names(example: Example) -> None:
    notebook = json.loads((example.folder / example.notebook).read_text(encoding="utf-8"))
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert code
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code), (
        "Examples are kept as their authors would commit them: without output."
    )


def test_every_folder_among_the_examples_is_one() -> None:
    folders = {path.name for path in (ROOT / "examples").iterdir() if path.is_dir()}
    assert folders == {example.name for example in EXAMPLES}


def test_nothing_is_approved_that_is_no_longer_made() -> None:
    made = {
        f"{example.name}/{kind}-{base}"
        for example in EXAMPLES
        for base in TARGETS
        for kind in ("plan", "Dockerfile")
    }
    there = {
        file.relative_to(APPROVED).with_suffix("").as_posix()
        for file in APPROVED.rglob("*")
        if file.is_file()
    }
    assert there == made
