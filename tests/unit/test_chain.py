"""One verdict per repository: who counts, who loses, and nothing that is there goes unsaid."""

from dataclasses import dataclass
from importlib.metadata import EntryPoint, EntryPoints

import pytest

from r2d import chain
from r2d.buildpack import BuildPack, Role
from r2d.errors import UnsupportedRepository
from r2d.plan import Env, Ignored, Plan, Stage, Target, steps
from r2d.repository import Repository
from r2d.testing import plan_of, target
from r2d_buildpacks import BUILTIN
from tests.conftest import RepoWith


@dataclass(frozen=True)
class Seen:
    """A finding of a test's buildpack."""

    file: str
    role: Role

    @property
    def files(self) -> tuple[str, ...]:
        return (self.file,)

    @property
    def because(self) -> str:
        return f"{self.file} is there"

    def plan(self, target: Target) -> Plan:
        return steps(Stage.DEPENDENCIES, Env(((self.file.replace(".", "_"), "1"),)))


@dataclass(frozen=True)
class Looking:
    """A buildpack that finds one file."""

    name: str
    file: str
    role: Role

    def detect(self, repository: Repository) -> Seen | None:
        path = repository.first(self.file)
        return Seen(path, self.role) if path else None


CONDA = Looking("conda", "environment.yml", Role.PYTHON)
DOCKERFILE = Looking("Dockerfile", "Dockerfile", Role.REPLACES)
R = Looking("R", "install.R", Role.ADDS)


def names(verdict: chain.Verdict) -> list[str]:
    return [found.buildpack for found in verdict.found]


def third_parties(monkeypatch: pytest.MonkeyPatch, *entries: EntryPoint) -> None:
    monkeypatch.setattr(chain, "entry_points", lambda group: EntryPoints(entries).select(group=group))


class FromElsewhere(Looking):
    """What another distribution's entry point names."""

    def __init__(self) -> None:
        super().__init__("elsewhere", "environment.yml", Role.PYTHON)


def test_findings_compose(repo_with: RepoWith) -> None:
    repository = repo_with({"requirements.txt": "", "apt.txt": "git", "postBuild": "", "start": ""})

    verdict = chain.verdict(repository, BUILTIN)

    assert names(verdict) == ["requirements.txt", "apt.txt", "postBuild", "start"]
    assert verdict.ignored == ()


def test_a_repository_without_any_file_gets_a_plain_jupyter(repo_with: RepoWith) -> None:
    assert names(chain.verdict(repo_with({"notes.ipynb": "{}"}), BUILTIN)) == ["Jupyter"]


@pytest.mark.parametrize(
    "files", [{}, {"requirements.txt": ""}, {"requirements.txt": "", "environment.yml": ""}], ids=len
)
def test_exactly_one_finding_provides_python(repo_with: RepoWith, files: dict[str, str | bytes]) -> None:
    verdict = chain.verdict(repo_with(files), (CONDA, *BUILTIN))

    assert [each.finding.role for each in verdict.found].count(Role.PYTHON) == 1


def test_the_loser_is_ignored_and_told_who_won(repo_with: RepoWith) -> None:
    repository = repo_with({"environment.yml": "", "requirements.txt": "six", "apt.txt": "git"})

    verdict = chain.verdict(repository, (CONDA, *BUILTIN))

    assert names(verdict) == ["conda", "apt.txt"]
    assert verdict.ignored == (Ignored("requirements.txt", "conda comes first"),)
    assert plan_of(repository, (CONDA, *BUILTIN)).ignored == verdict.ignored


def test_a_file_that_the_winner_read_too_is_not_ignored(repo_with: RepoWith) -> None:
    verdict = chain.verdict(repo_with({"requirements.txt": "", "runtime.txt": "python-3.12"}), BUILTIN)

    assert verdict.ignored == ()


def test_what_replaces_everything_leaves_only_itself(repo_with: RepoWith) -> None:
    repository = repo_with(
        {"Dockerfile": "", "requirements.txt": "", "runtime.txt": "python-3.12", "apt.txt": "git"}
    )

    verdict = chain.verdict(repository, (R, DOCKERFILE, *BUILTIN))

    assert names(verdict) == ["Dockerfile"]
    assert {each.file for each in verdict.ignored} == {"requirements.txt", "runtime.txt", "apt.txt"}
    assert {each.because for each in verdict.ignored} == {"Dockerfile comes first"}


def test_no_file_is_called_ignored_twice(repo_with: RepoWith) -> None:
    repository = repo_with({"Dockerfile": "", "requirements.txt": "", "runtime.txt": "python-3.12"})

    ignored = [each.file for each in chain.verdict(repository, (DOCKERFILE, *BUILTIN)).ignored]

    assert sorted(ignored) == sorted(set(ignored))


def test_files_that_a_config_folder_shadows_are_named(repo_with: RepoWith) -> None:
    repository = repo_with(
        {"binder/apt.txt": "git", "requirements.txt": "six", "Dockerfile": "", "setup.py": ""}
    )

    verdict = chain.verdict(repository, BUILTIN)

    assert names(verdict) == ["Jupyter", "apt.txt"]
    assert {each.file for each in verdict.ignored} == {"requirements.txt", "Dockerfile", "setup.py"}
    assert all("binder/" in each.because for each in verdict.ignored)


def test_a_shadowed_file_that_is_included_is_not_called_ignored(repo_with: RepoWith) -> None:
    repository = repo_with(
        {"binder/requirements.txt": "-r ../requirements.txt\n", "requirements.txt": "six\n"}
    )

    assert chain.verdict(repository, BUILTIN).ignored == ()


@pytest.mark.parametrize(
    "file", ["environment.yml", "Pipfile", "Project.toml", "default.nix", "install.R", "setup.py"]
)
def test_an_environment_that_nobody_can_build_is_refused(repo_with: RepoWith, file: str) -> None:
    with pytest.raises(UnsupportedRepository) as caught:
        chain.verdict(repo_with({file: "", "requirements.txt": "six"}), BUILTIN)

    assert caught.value.where == file
    assert caught.value.fix


def test_an_environment_in_a_config_folder_that_nobody_can_build_is_refused(repo_with: RepoWith) -> None:
    with pytest.raises(UnsupportedRepository) as caught:
        chain.verdict(repo_with({".binder/environment.yml": ""}), BUILTIN)

    assert caught.value.where == ".binder/environment.yml"


def test_a_file_that_a_third_party_reads_is_not_refused(repo_with: RepoWith) -> None:
    assert names(chain.verdict(repo_with({"install.R": ""}), (R, *BUILTIN))) == ["R", "Jupyter"]


def test_a_language_in_runtime_txt_that_nobody_provides_is_never_dropped_silently(
    repo_with: RepoWith,
) -> None:
    repository = repo_with({"runtime.txt": "julia-1.6", "requirements.txt": "six"})

    plan = plan_of(repository, BUILTIN)

    assert [each.file for each in plan.ignored] == ["runtime.txt"]
    assert "julia" in plan.ignored[0].because


def test_an_r_environment_without_an_r_buildpack_is_refused(repo_with: RepoWith) -> None:
    with pytest.raises(UnsupportedRepository) as caught:
        chain.verdict(repo_with({"runtime.txt": "r-4.4-2025-06-01"}), BUILTIN)

    assert caught.value.where == "runtime.txt"


def test_buildpacks_of_other_distributions_come_first(
    repo_with: RepoWith, monkeypatch: pytest.MonkeyPatch
) -> None:
    third_parties(monkeypatch, EntryPoint("elsewhere", f"{__name__}:FromElsewhere", chain.ENTRY_POINTS))

    verdict = chain.verdict(repo_with({"environment.yml": "", "requirements.txt": ""}))

    assert names(verdict) == ["elsewhere"]
    assert verdict.ignored == (Ignored("requirements.txt", "elsewhere comes first"),)


def test_a_buildpack_is_known_by_name_and_by_what_it_does() -> None:
    packs: tuple[BuildPack, ...] = BUILTIN

    assert len({pack.name for pack in packs}) == len(packs)


def test_a_plan_holds_what_every_finding_wants(repo_with: RepoWith) -> None:
    verdict = chain.verdict(repo_with({"install.R": "", "environment.yml": ""}), (R, CONDA))

    assert verdict.plan(target()).at(Stage.DEPENDENCIES) == (
        Env((("install_R", "1"),)),
        Env((("environment_yml", "1"),)),
    )


def test_what_replaces_everything_replaces_what_nobody_can_build_too(repo_with: RepoWith) -> None:
    repository = repo_with({"Dockerfile": "", "environment.yml": "", "runtime.txt": "r-4.4-2025-06-01"})

    assert names(chain.verdict(repository, (DOCKERFILE, *BUILTIN))) == ["Dockerfile"]
