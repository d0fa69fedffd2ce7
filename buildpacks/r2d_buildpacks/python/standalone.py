"""Standalone builds of CPython: which there are, and how uv is told of one."""

import json
import tomllib
from functools import cache
from importlib.resources import files
from typing import Any

_ARCHITECTURES = {"linux/amd64": "x86_64", "linux/arm64": "aarch64"}


@cache
def _pins() -> dict[str, Any]:
    return tomllib.loads(files("r2d_buildpacks.python").joinpath("pythons.toml").read_text())


def minors() -> tuple[str, ...]:
    """The minor versions that can be had, the oldest first."""
    return tuple(_pins()["minors"])


def version(minor: str, platform: str) -> str:
    """The exact version that stands for a minor: "3.12" → "3.12.16"."""
    found: str = _pins()["minors"][minor][platform]["version"]
    return found


def downloads_json(minor: str, platform: str) -> bytes:
    """A list of Pythons for UV_PYTHON_DOWNLOADS_JSON_URL that holds this one only, checksum and all.

    With it uv installs what is pinned here, whichever uv it is; UV_PYTHON_INSTALL_MIRROR still applies.
    """
    pin = _pins()["minors"][minor][platform]
    major, minor_number, patch = (int(part) for part in pin["version"].split("."))
    architecture = _ARCHITECTURES[platform]
    entry = {
        "name": "cpython",
        "arch": {"family": architecture, "variant": None},
        "os": "linux",
        "libc": "gnu",
        "major": major,
        "minor": minor_number,
        "patch": patch,
        "prerelease": "",
        "url": pin["url"],
        "sha256": pin["sha256"],
        "variant": None,
        "build": None,
    }
    return json.dumps({f"cpython-{pin['version']}-linux-{architecture}-gnu": entry}, indent=1).encode()
