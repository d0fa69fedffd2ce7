"""Programs that r2d brings into a build, as files of this machine."""

import platform as machine
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

from r2d.errors import ToolMissing

_WHEELS = {"linux/amd64": "x86_64-manylinux_2_28", "linux/arm64": "aarch64-manylinux_2_28"}
_MACHINES = {"x86_64": "linux/amd64", "aarch64": "linux/arm64", "arm64": "linux/arm64"}


def tool_for(name: str, *, platform: str, cache: Path) -> Path:
    """A tool of a build, for a platform: the one installed with r2d, or fetched once by it."""
    if name != "uv":
        raise AssertionError(f"r2d brings no {name}")
    import uv

    own = Path(uv.find_uv_bin())
    if sys.platform == "linux" and _MACHINES.get(machine.machine()) == platform:
        return own
    pinned = version("uv")
    there = cache / f"uv-{pinned}-{platform.replace('/', '-')}" / "uv"
    return there if there.is_file() else _fetched(own, pinned, platform, there)


def _fetched(own: Path, pinned: str, platform: str, there: Path) -> Path:
    there.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=there.parent) as folder:
        command = [str(own), "pip", "install", "--quiet", "--no-deps", "--target", folder]
        command += ["--python-platform", _WHEELS[platform], f"uv=={pinned}"]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        if ended.returncode:
            raise ToolMissing(
                f"uv {pinned} for {platform} cannot be fetched: {ended.stderr.strip().splitlines()[-1:]}",
                fix="Check that the package index can be reached; see `r2d doctor`.",
            )
        (Path(folder) / "bin" / "uv").replace(there)
    return there
