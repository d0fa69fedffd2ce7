"""apt.txt: packages of the distribution."""

import re
from dataclasses import dataclass

from r2d.buildpack import Role
from r2d.errors import InvalidEnvironmentFile
from r2d.plan import Apt, Plan, Stage, Target, steps
from r2d.repository import Repository

FILE = "apt.txt"

# Debian's grammar of package names, with a version where the file insists on one: gcc=4:12.2.0-3
# A hyphen at the end would make apt-get remove the package instead.
_PACKAGE = re.compile(r"[a-z0-9][a-z0-9.+-]*[a-z0-9.+](:[a-z0-9]+)?(=[A-Za-z0-9.+~:-]+)?")


@dataclass(frozen=True)
class AptPackages:
    """The packages that apt.txt lists."""

    file: str
    packages: tuple[str, ...]
    role: Role = Role.ADDS

    @property
    def files(self) -> tuple[str, ...]:
        return (self.file,)

    @property
    def because(self) -> str:
        return f"{self.file} lists packages of the distribution ({len(self.packages)})"

    def plan(self, target: Target) -> Plan:
        return steps(Stage.SYSTEM, Apt(self.packages)) if self.packages else Plan()


class AptTxt:
    """Packages of the distribution, one or more a line."""

    name = "apt.txt"

    def detect(self, repository: Repository) -> AptPackages | None:
        file = repository.first(FILE)
        return AptPackages(file, parse(repository.text(file), file)) if file else None


def parse(text: str, file: str) -> tuple[str, ...]:
    """The packages of an apt.txt, sorted, each once; anything but a package name is refused."""
    packages: set[str] = set()
    for number, line in enumerate(text.splitlines(), start=1):
        for word in line.partition("#")[0].split():
            if not _PACKAGE.fullmatch(word):
                raise InvalidEnvironmentFile(
                    f"{word!r} is no name of a package.",
                    where=f"{file}:{number}",
                    fix="Write names of Debian or Ubuntu packages, such as libxml2-dev; options and "
                    "other sources of packages cannot be given here.",
                )
            packages.add(word)
    return tuple(sorted(packages))
