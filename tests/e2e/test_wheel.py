"""What is shipped: the wheel alone, in an empty environment, plans every example from a folder of its own."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.golden.corpus import EXAMPLES, ROOT, Example

_DATA = (".sh", ".j2", ".toml", ".txt", ".in")


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    into = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(into), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    (made,) = into.glob("*.whl")
    return made


@pytest.fixture(scope="session")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with the wheel and what it depends on."""
    environment = tmp_path_factory.mktemp("environment") / "venv"
    uv = Path(sys.executable).with_name("uv")
    interpreter = environment / "bin/python"
    for command in (
        ["venv", "--quiet", "--no-project", "--python", sys.executable, str(environment)],
        ["pip", "install", "--quiet", "--python", str(interpreter), str(wheel)],
    ):
        subprocess.run([uv, *command], check=True, cwd=environment.parent)
    return interpreter


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """A folder outside the tree."""
    assert ROOT not in tmp_path.parents
    return tmp_path


def planned(python: Path, repository: str | Path, working_folder: Path) -> str:
    done = subprocess.run(
        [python, "-m", "r2d", "plan", "--json", str(repository)],
        cwd=working_folder,
        env={"PATH": "/usr/bin:/bin", "HOME": str(working_folder), "LANG": "C.UTF-8"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_file_that_is_read_at_run_time_is_in_it(wheel: Path) -> None:
    sources = (ROOT, ROOT / "buildpacks")
    expected = {
        str(file.relative_to(source))
        for source, package in zip(sources, ("r2d", "r2d_buildpacks"), strict=True)
        for file in (source / package).rglob("*")
        if file.suffix in (*_DATA, ".py")
        and not any(part.startswith((".", "__pyc")) for part in file.parts[-3:])
    }
    shipped = set(zipfile.ZipFile(wheel).namelist())
    assert expected - shipped == set()
    strangers = {name for name in shipped - expected if ".dist-info/" not in name}
    assert {name for name in strangers if "cache" in name or "test" in name} == set()


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_it_plans_an_example_as_the_tree_does(python: Path, elsewhere: Path, example: Example) -> None:
    approved = ROOT / f"tests/golden/approved/{example.name}/plan-default.json"
    assert planned(python, example.folder, elsewhere) == approved.read_text()


def test_it_is_not_fooled_by_folders_of_a_checkout_that_are_named_like_its_own(
    python: Path, elsewhere: Path
) -> None:
    for name in ("buildpacks", "r2d_buildpacks", "buildpacks/r2d_buildpacks"):
        (elsewhere / name).mkdir()
        (elsewhere / name / "__init__.py").write_text("raise SystemExit('a stranger was imported')\n")
    (elsewhere / "requirements.txt").write_text("humanize\n")
    assert '"Run"' in planned(python, ".", elsewhere)
