"""One class per failure a user can act on: what happened, where, what to do; its own exit code.

Exit code 2 is left to wrong usage of the command line (click's own), 1 to a bug of ours. Codes are part of the
contract with scripts: add one, never renumber.
"""

from typing import ClassVar


class R2DError(Exception):
    """A failure told in three parts: the problem, its place, the way out."""

    exit_code: ClassVar[int]

    def __init__(self, problem: str, *, where: str | None = None, fix: str | None = None) -> None:
        super().__init__(problem)
        self.problem = problem
        self.where = where
        self.fix = fix
        self.told = False  # whether a report has shown it to the user

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        remedy = f"\n{self.fix}" if self.fix else ""
        return f"{place}{self.problem}{remedy}"


class Terminated(BaseException):
    """The process was asked to end by a signal such as SIGTERM: what Ctrl-C is for a person."""

    def __init__(self, signal_name: str = "SIGTERM", signal_number: int = 15) -> None:
        super().__init__(signal_name)
        self.signal_name = signal_name
        self.exit_code = 128 + signal_number


# --- what the user gave us


class WrongUsage(R2DError):
    """Options that contradict each other or cannot be understood."""

    exit_code = 2


class InvalidConfiguration(R2DError):
    """An r2d.toml that cannot be read or holds what r2d does not know."""

    exit_code = 3


class SourceNotFound(R2DError):
    """Nothing r2d can fetch is where the user points."""

    exit_code = 4


class InvalidEnvironmentFile(R2DError):
    """A file that describes the environment is broken, or says something impossible."""

    exit_code = 5


class UnsupportedVersion(R2DError):
    """A version is asked for that r2d cannot provide."""

    exit_code = 6


class UnsupportedRepository(R2DError):
    """The repository describes its environment in a way r2d does not build."""

    exit_code = 7


class UnsafeContent(R2DError):
    """The repository holds something that must not be followed: a link or a path out of its tree."""

    exit_code = 8


class InvalidImageName(R2DError):
    """A name no registry accepts."""

    exit_code = 9


class ContentTooLarge(R2DError):
    """What was pointed at is larger than r2d will fetch or unpack, or than the disk has room for."""

    exit_code = 10


class ContentDamaged(R2DError):
    """A file is not what its origin says it is, or an archive cannot be read: damaged, encrypted, altered."""

    exit_code = 11


class SourceRefused(R2DError):
    """The source may be there and does not let this user in, or cannot be trusted to be the right one."""

    exit_code = 14


class SourceFailed(R2DError):
    """The source could not be brought here, for a reason that has no class of its own."""

    exit_code = 15


class RepositoryChanged(R2DError):
    """A file of the repository changed, or went away, while it was being read."""

    exit_code = 12


class UnreadableFile(R2DError):
    """A file of the repository cannot be read by this user, or not at all."""

    exit_code = 13


# --- what the machine gave us


class EngineAbsent(R2DError):
    """No container engine answers."""

    exit_code = 20


class EngineRefused(R2DError):
    """An engine is there and will not talk to this user."""

    exit_code = 21


class EngineTooOld(R2DError):
    """An engine is there and lacks what a build needs."""

    exit_code = 22


class EngineOutOfDisk(R2DError):
    """The engine has no room left."""

    exit_code = 23


class EngineDied(R2DError):
    """The engine stopped answering in the middle of the work."""

    exit_code = 24


class EngineFailed(R2DError):
    """The engine answered with an error that has no class of its own."""

    exit_code = 25


class BaseImageUnavailable(R2DError):
    """The base image is not in the engine and cannot be pulled."""

    exit_code = 26


class UnknownBaseImage(R2DError):
    """Nothing is known of a base image: its distribution, its release, its Python."""

    exit_code = 27


class ToolMissing(R2DError):
    """A program r2d needs for this command is not installed."""

    exit_code = 28


# --- what the build and the container did


class BuildFailed(R2DError):
    """A step of the build ended with an error."""

    exit_code = 30


class ContainerNotStarted(R2DError):
    """The image is there and the container could not be started."""

    exit_code = 31


class ServerNeverAnswered(R2DError):
    """The container ended, as if all were well, before its Jupyter answered."""

    exit_code = 32


class OutputExists(R2DError):
    """A folder to write into holds something that is not ours to replace."""

    exit_code = 33


class OutputNotWritten(R2DError):
    """A folder to write into cannot be made or filled."""

    exit_code = 34


class TemporaryFailure(R2DError):
    """Something outside failed that may work later; hubs retry on this code."""

    exit_code = 75
