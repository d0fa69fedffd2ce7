"""The page on buildpacks is true: its example runs."""

import re
from pathlib import Path

from r2d.plan import Apt, Stage
from r2d.testing import plan_of, repository_with
from r2d_buildpacks.common.apt import AptTxt
from r2d_buildpacks.python.pack import PlainJupyter

PAGE = Path(__file__).parents[2] / "buildpacks" / "README.md"


def test_the_example_of_the_page_does_what_the_page_says(tmp_path: Path) -> None:
    example = re.search(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert example
    shown: dict[str, object] = {"__name__": "fonts"}
    exec(compile(example[1], str(PAGE), "exec", dont_inherit=True), shown)
    repository = repository_with(tmp_path, {"fonts.txt": "dejavu\n", "apt.txt": "git\n"})

    plan = plan_of(repository, [shown["FontsTxt"](), AptTxt(), PlainJupyter()])  # type: ignore[operator]

    assert plan.at(Stage.SYSTEM) == (Apt(("fonts-dejavu", "git")),)
