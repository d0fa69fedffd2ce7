"""Which Python an image gets: one decision, made once, with its reason."""

import re
from dataclasses import dataclass

from r2d.errors import UnsupportedVersion
from r2d.plan import Chosen, Target
from r2d_buildpacks.common.runtime import Runtime
from r2d_buildpacks.common.standalone import minors

# Where neither the repository nor the base image says.
DEFAULT = "3.12"


@dataclass(frozen=True)
class Python:
    """A minor version, and whether it must be brought because the base image has another one."""

    minor: str
    standalone: bool
    because: str


def python_for(asked: Chosen | None, target: Target) -> Python:
    """The Python the repository asks for, else the base image's own, else r2d's default."""
    base = target.base
    its_own = f"{base.distribution} {base.release} has {base.python or 'none'}"
    if asked and asked.value == base.python:
        return Python(asked.value, standalone=False, because=asked.because)
    if asked:
        return Python(
            asked.value, standalone=True, because=f"{asked.because}; a standalone build, as {its_own}"
        )
    if base.python and base.python in minors():
        return Python(base.python, standalone=False, because=f"nothing asks for a version, and {its_own}")
    return Python(
        DEFAULT, standalone=True, because=f"nothing asks for a version, r2d's default, as {its_own}"
    )


def python_asked(runtime: Runtime | None) -> Chosen | None:
    """The minor version that runtime.txt asks for."""
    if runtime is None or runtime.name != "python" or runtime.version in (None, "3"):
        return None
    version, known = str(runtime.version), minors()
    choice = f"Ask for one of {', '.join(known)}."
    if not re.fullmatch(r"\d+(\.\d+){0,2}", version):
        raise UnsupportedVersion(f"python-{version} is no version of Python.", where=runtime.file, fix=choice)
    minor = ".".join(version.split(".")[:2])
    if minor not in known:
        raise UnsupportedVersion(f"Python {version} cannot be had.", where=runtime.file, fix=choice)
    newest = f" (the newest {minor} there is)" if version != minor else ""
    return Chosen("python", minor, f"{runtime.file} asks for python-{version}{newest}")
