"""Programs that r2d brings into a build, as files of this machine."""

import platform as machine
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

from r2d.errors import ToolMissing, UnsupportedVersion
from r2d.origins import IN_BUILD, Origins

_WHEELS = {"linux/amd64": "x86_64-manylinux_2_28", "linux/arm64": "aarch64-manylinux_2_28"}
_MACHINES = {"x86_64": "linux/amd64", "aarch64": "linux/arm64", "arm64": "linux/arm64"}


def tool_for(name: str, *, platform: str, cache: Path, environment: Mapping[str, str] | None = None) -> Path:
    """A tool of a build, for a platform: the one installed with r2d, or fetched once by it.

    `environment` is all that the fetching program sees of variables; None lets it inherit this process's.
    """
    if name != "uv":
        raise AssertionError(f"r2d brings no {name}")
    if platform not in _WHEELS:
        raise UnsupportedVersion(
            f"An image for {platform} cannot be built.", fix=f"Build for {' or '.join(_WHEELS)}."
        )
    import uv

    own = Path(uv.find_uv_bin())
    if sys.platform == "linux" and _MACHINES.get(machine.machine()) == platform:
        return own
    pinned = version("uv")
    there = cache / f"uv-{pinned}-{platform.replace('/', '-')}" / "uv"
    return there if there.is_file() else _fetched(own, pinned, platform, there, environment)


def fetching_environment(origins: Origins, inherited: Mapping[str, str]) -> dict[str, str]:
    """What a program of this machine is told of the network: the inherited variables, and ours above them."""
    told = {name: value for name, value in origins.variables() if not name.startswith("R2D_")}
    if origins.ca_bundle:
        # A build finds the bundle in a mounted folder; a program of this machine, where it lies.
        mounted, here = f"{IN_BUILD}/ca.pem", str(origins.ca_bundle)
        told = {name: here if value == mounted else value for name, value in told.items()}
    return {**inherited, **told}


def _fetched(
    own: Path, pinned: str, platform: str, there: Path, environment: Mapping[str, str] | None
) -> Path:
    there.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=there.parent) as folder:
        command = [str(own), "pip", "install", "--quiet", "--no-deps", "--target", folder]
        command += ["--python-platform", _WHEELS[platform], f"uv=={pinned}"]
        ended = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        if ended.returncode:
            raise ToolMissing(
                f"uv {pinned} for {platform} cannot be fetched: {ended.stderr.strip().splitlines()[-1:]}",
                fix="Check that the package index can be reached; see `r2d doctor`.",
            )
        (Path(folder) / "bin" / "uv").replace(there)
    return there
