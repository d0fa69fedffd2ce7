"""A repository whose Python packages are listed in requirements.txt, or that lists none."""

from dataclasses import dataclass

from r2d.buildpack import Role, own_file
from r2d.plan import Chosen, ContextFile, Ignored, Plan, Run, Stage, Target, steps
from r2d.repository import Repository
from r2d_buildpacks.common.image import PREFIX
from r2d_buildpacks.common.jupyter import UV_CACHE, jupyter_server
from r2d_buildpacks.common.python_version import python_asked, python_for
from r2d_buildpacks.common.runtime import Runtime, runtime
from r2d_buildpacks.python.requirements import Requirements, requirements

_HERE = "r2d_buildpacks.python"


@dataclass(frozen=True)
class PythonEnvironment:
    """The Jupyter server's environment, with the packages of requirements.txt on top."""

    runtime: Runtime | None = None
    python: Chosen | None = None
    requirements: Requirements | None = None
    role: Role = Role.PYTHON

    @property
    def files(self) -> tuple[str, ...]:
        listed = self.requirements.files if self.requirements else ()
        return (*listed, self.runtime.file) if self.runtime and self.runtime.name == "python" else listed

    @property
    def because(self) -> str:
        if self.requirements:
            return f"{self.requirements.file} lists Python packages"
        if self.python:
            return self.python.because
        return "no file describes an environment, which means a plain Jupyter"

    def plan(self, target: Target) -> Plan:
        plan = jupyter_server(python_for(self.python, target), target)
        if self.requirements:
            plan += _install(self.requirements)
        if self.runtime and self.runtime.name == "python" and self.runtime.day:
            note = f"its date {self.runtime.day} means nothing for Python packages"
            plan += Plan(ignored=(Ignored(self.runtime.file, note),))
        if self.runtime and self.runtime.unread:
            note = f"only its first line counts; {self.runtime.unread} more are not read"
            plan += Plan(ignored=(Ignored(self.runtime.file, note),))
        return plan


class RequirementsTxt:
    """requirements.txt."""

    name = "requirements.txt"

    def detect(self, repository: Repository) -> PythonEnvironment | None:
        file = repository.first("requirements.txt")
        if file is None:
            return None
        asked = runtime(repository)
        return PythonEnvironment(asked, python_asked(asked), requirements(repository, file))


class PlainJupyter:
    """A Jupyter and nothing else: what every repository gets that asks for no environment."""

    name = "Jupyter"

    def detect(self, repository: Repository) -> PythonEnvironment:
        asked = runtime(repository)
        return PythonEnvironment(asked, python_asked(asked))


def _install(wanted: Requirements) -> Plan:
    plan = Plan()
    options = ("--prerelease=allow",) if wanted.prereleases else ()
    if wanted.packages and not wanted.found_in_repository:
        files = [_text("requirements.txt", wanted.packages), _text("constraints.txt", wanted.constraints)]
        plan += steps(
            Stage.DEPENDENCIES,
            Run(
                script=own_file(_HERE, "requirements.sh"),
                args=(PREFIX, "/run/r2d/requirements.txt", *options),
                why=f"Install the packages of {wanted.file}",
                files=tuple(files),
                caches=(UV_CACHE,),
                tools=("uv",),
            ),
        )
    if wanted.local:
        plan += steps(
            Stage.PROJECT,
            Run(
                script=own_file(_HERE, "requirements.sh"),
                args=(PREFIX, wanted.file, *options),
                why=f"Install what {wanted.file} takes from the repository",
                in_repository=True,
                files=(_text("constraints.txt", wanted.constraints),),
                caches=(UV_CACHE,),
                tools=("uv",),
            ),
        )
    return plan


def _text(path: str, lines: tuple[str, ...]) -> ContextFile:
    return ContextFile(path, "".join(f"{line}\n" for line in lines).encode())
