"""Take the standalone Pythons from the uv that r2d pins: `python -m r2d_buildpacks.python.update_pins`.

uv's source distribution says where each of its managed Pythons lies and what its checksum is. It comes from the
package index that uv itself is configured with; which one that is, is not recorded.
"""

import argparse
import hashlib
import html
import io
import json
import re
import subprocess
import sys
import tarfile
import tomllib
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PINS = Path(__file__).parent / "pythons.toml"
PYPROJECT = Path(__file__).parents[3] / "pyproject.toml"
OLDEST = 9  # 3.9: the oldest Python that the server's packages still support
PLATFORMS = {"x86_64": "linux/amd64", "aarch64": "linux/arm64"}

# What uv replaces by UV_PYTHON_INSTALL_MIRROR; it refuses an address that does not begin so.
MIRRORED_PREFIX = "https://github.com/astral-sh/python-build-standalone/releases/download/"


@dataclass(frozen=True)
class Standalone:
    """A standalone build of one Python for one platform."""

    minor: int
    platform: str
    version: str
    url: str
    sha256: str


def uv_version(pyproject: str) -> str:
    """The version of uv that a pyproject.toml pins."""
    pinned = [
        found
        for line in tomllib.loads(pyproject)["project"]["dependencies"]
        if (found := re.fullmatch(r"uv==(\S+)", line))
    ]
    if len(pinned) != 1:
        raise SystemExit("pyproject.toml does not pin exactly one uv==VERSION.")
    return pinned[0][1]


def package_index() -> str:
    """The package index that uv is configured with."""
    command = ["uv", "pip", "compile", "--emit-index-url", "--no-header", "--no-config", "-"]
    said = subprocess.run(command, input="", capture_output=True, text=True, check=True).stdout
    found = re.search(r"^--index-url (\S+)$", said, re.MULTILINE)
    if not found:
        raise SystemExit("uv does not say which package index it uses.")
    return found[1]


def sdist(index: str, project: str, version: str) -> bytes:
    """A source distribution from a package index, checked against the index's own hash."""
    name = f"{project}-{version}.tar.gz"
    page = f"{index.rstrip('/')}/{project}/"
    for link in re.findall(r'href="([^"]+)"', _get(page).decode()):
        address, _, hashed = html.unescape(link).partition("#sha256=")
        if address.rsplit("/", 1)[-1] == name:
            content = _get(urllib.parse.urljoin(page, address))
            if hashlib.sha256(content).hexdigest() != hashed:
                raise SystemExit(f"{name} is not what the package index says it is.")
            return content
    raise SystemExit(f"The package index has no {name}.")


def _get(address: str) -> bytes:
    request = urllib.request.Request(address, headers={"Accept": "text/html, */*;q=0.1"})  # noqa: S310
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310  the index is ours to trust
        content: bytes = answer.read()
    return content


def download_metadata(source: bytes) -> dict[str, Any]:
    """What uv's source distribution says of the Pythons it can install."""
    with tarfile.open(fileobj=io.BytesIO(source)) as archive:
        for member in archive:
            if member.name.endswith("/download-metadata.json") and (file := archive.extractfile(member)):
                found: dict[str, Any] = json.load(file)
                return found
    raise SystemExit("uv's source distribution holds no download-metadata.json.")


def newest(metadata: Mapping[str, Any]) -> Iterator[Standalone]:
    """The newest release of every minor on every platform, those that have both platforms."""
    found: dict[tuple[int, str], tuple[int, Standalone]] = {}
    for entry in metadata.values():
        platform = PLATFORMS.get(entry["arch"]["family"])
        plain = not (entry["variant"] or entry["arch"]["variant"] or entry["prerelease"])
        fits = (entry["name"], entry["major"], entry["os"], entry["libc"]) == ("cpython", 3, "linux", "gnu")
        if not (platform and plain and fits and entry["minor"] >= OLDEST):
            continue
        build = Standalone(
            entry["minor"], platform, f"3.{entry['minor']}.{entry['patch']}", entry["url"], entry["sha256"]
        )
        key = (build.minor, platform)
        if key not in found or found[key][0] < entry["patch"]:
            found[key] = (entry["patch"], build)
    for minor, platform in sorted(found):
        if all((minor, each) in found for each in PLATFORMS.values()):
            yield found[minor, platform][1]


def as_toml(uv: str, builds: Iterator[Standalone]) -> str:
    """The pins as a file."""
    lines = [
        "# Made by `python -m r2d_buildpacks.python.update_pins`; do not edit.",
        "# Standalone builds of CPython, as this uv knows them.",
        f'uv = "{uv}"',
        "",
        "# What UV_PYTHON_INSTALL_MIRROR stands for.",
        f'mirrored_prefix = "{MIRRORED_PREFIX}"',
    ]
    for build in builds:
        if not build.url.startswith(MIRRORED_PREFIX):
            raise SystemExit(f"{build.url} lies outside what a mirror can stand for.")
        lines += [
            "",
            f'[minors."3.{build.minor}"."{build.platform}"]',
            f'version = "{build.version}"',
            f'url = "{build.url}"',
            f'sha256 = "{build.sha256}"',
        ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write pythons.toml for the uv that pyproject.toml pins."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if the pins are others")
    check = parser.parse_args().check
    uv = uv_version(PYPROJECT.read_text())
    text = as_toml(uv, newest(download_metadata(sdist(package_index(), "uv", uv))))
    stale = not PINS.exists() or PINS.read_text() != text
    if stale and not check:
        PINS.write_text(text)
    print(f"{PINS.name}: {'up to date' if not stale else 'stale' if check else 'written'}")
    sys.exit(1 if check and stale else 0)


if __name__ == "__main__":
    main()
