"""postBuild, which runs once at the end of the build, and start, which every command of the container runs through."""

from dataclasses import dataclass

from r2d.buildpack import Role, own_file
from r2d.plan import Cache, Env, Plan, Run, Stage, Target, steps
from r2d.repository import Repository
from r2d_buildpacks.common.image import HERE


@dataclass(frozen=True)
class PostBuildScript:
    """A script to run after everything else."""

    file: str
    role: Role = Role.ADDS

    @property
    def files(self) -> tuple[str, ...]:
        return (self.file,)

    @property
    def because(self) -> str:
        return f"{self.file} runs at the end of the build"

    def plan(self, target: Target) -> Plan:
        return steps(
            Stage.AFTER,
            Run(
                script=own_file(HERE, "post_build.sh"),
                args=(self.file,),
                why=f"Run {self.file}",
                in_repository=True,
                caches=(Cache("post-build"),),
                tools=("uv",),
            ),
        )


@dataclass(frozen=True)
class StartScript:
    """A script that every command of the container runs through."""

    file: str
    role: Role = Role.ADDS

    @property
    def files(self) -> tuple[str, ...]:
        return (self.file,)

    @property
    def because(self) -> str:
        return f"{self.file} runs before every command of the container"

    def plan(self, target: Target) -> Plan:
        return steps(Stage.AFTER, Env((("R2D_ENTRYPOINT", f"{target.repo_dir}/{self.file}"),)))


class PostBuild:
    """Commands of the repository's own, run in the finished environment."""

    name = "postBuild"

    def detect(self, repository: Repository) -> PostBuildScript | None:
        file = repository.first("postBuild")
        return PostBuildScript(file) if file else None


class Start:
    """What the repository wants done at every start."""

    name = "start"

    def detect(self, repository: Repository) -> StartScript | None:
        file = repository.first("start")
        return StartScript(file) if file else None
