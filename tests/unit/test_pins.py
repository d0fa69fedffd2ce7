"""The pinned knowledge fits together: server locks, standalone Pythons, uv."""

import json
import re
import tomllib
from importlib.resources import files
from pathlib import Path

import pytest

from r2d_buildpacks.common.server import update_pins as server
from r2d_buildpacks.python import standalone
from r2d_buildpacks.python import update_pins as pythons

ROOT = Path(__file__).parents[2]
PYTHONS = tomllib.loads(files("r2d_buildpacks.python").joinpath("pythons.toml").read_text())
LOCKS = {path.stem.removeprefix("server-"): path.read_text() for path in server.FOLDER.glob("server-*.txt")}


def test_there_is_a_lock_for_every_python_that_can_be_had():
    assert set(LOCKS) == set(standalone.minors()) == set(server.read_pins().minors)


@pytest.mark.parametrize("minor", sorted(LOCKS))
def test_a_lock_holds_exact_versions_with_hashes_and_nothing_else(minor):
    entries = re.sub(r"\s*\\\n\s*", " ", LOCKS[minor]).splitlines()
    for entry in (line for line in entries if not line.startswith("#")):
        assert re.fullmatch(r"[a-z0-9-]+==\S+( --hash=sha256:[0-9a-f]{64})+", entry), entry[:80]


@pytest.mark.parametrize("minor", sorted(LOCKS))
def test_a_lock_names_no_address_and_no_folder(minor):
    assert not re.search(r"://|index-url|find-links|/home/|/root/|/tmp/", LOCKS[minor])


@pytest.mark.parametrize("minor", sorted(LOCKS))
def test_a_lock_holds_what_a_server_is(minor):
    versions = dict(re.findall(r"^([a-z0-9-]+)==(\S+)", LOCKS[minor], re.MULTILINE))
    majors = {name: int(version.split(".")[0]) for name, version in versions.items()}
    assert (majors["jupyterlab"], majors["notebook"], majors["ipywidgets"]) == (4, 7, 8)
    assert majors["jupyterhub"] == (5 if minor == "3.9" else 6)
    assert {"ipykernel", "jupyter-offlinenotebook", "jupyter-resource-usage", "pip"} <= set(versions)


def test_what_is_built_from_source_is_in_its_lock():
    for minor, packages in server.read_pins().from_source.items():
        for package in packages:
            assert f"\n{package}==" in LOCKS[minor]
    assert "setuptools==" in (server.FOLDER / "build.txt").read_text()


def test_the_standalone_pythons_are_those_of_the_uv_that_travels_with_a_build():
    assert PYTHONS["uv"] == pythons.uv_version((ROOT / "pyproject.toml").read_text())


def test_every_standalone_python_has_both_platforms_an_address_a_mirror_can_replace_and_a_checksum():
    for minor, platforms in PYTHONS["minors"].items():
        assert set(platforms) == {"linux/amd64", "linux/arm64"}
        for build in platforms.values():
            assert build["version"].startswith(f"{minor}.")
            assert build["url"].startswith(PYTHONS["mirrored_prefix"])
            assert re.fullmatch(r"[0-9a-f]{64}", build["sha256"])


def test_the_minors_come_oldest_first():
    assert standalone.minors()[0] == "3.9"
    assert list(standalone.minors()) == sorted(
        standalone.minors(), key=lambda minor: int(minor.split(".")[1])
    )


def test_uv_is_told_of_one_python_in_its_own_words():
    ((key, entry),) = json.loads(standalone.downloads_json("3.12", "linux/arm64")).items()
    assert key == f"cpython-{standalone.version('3.12', 'linux/arm64')}-linux-aarch64-gnu"
    assert (entry["major"], entry["minor"], entry["arch"]["family"]) == (3, 12, "aarch64")
    assert entry["sha256"] == PYTHONS["minors"]["3.12"]["linux/arm64"]["sha256"]


def test_of_uvs_pythons_the_newest_plain_release_is_taken():
    def entry(patch, **other):
        plain = {
            "name": "cpython",
            "arch": {"family": "x86_64", "variant": None},
            "os": "linux",
            "libc": "gnu",
        }
        rest = {"major": 3, "minor": 12, "patch": patch, "prerelease": "", "variant": None}
        address = {"url": f"{pythons.MIRRORED_PREFIX}{patch}", "sha256": "0" * 64}
        return {**plain, **rest, **address, **other}

    arm = {"arch": {"family": "aarch64", "variant": None}}
    metadata = {
        "old": entry(3), "new": entry(10), "arm": entry(10, **arm), "musl": entry(11, libc="musl"),
        "debug": entry(12, variant="debug"), "preview": entry(13, prerelease="rc1"),
        "v3": entry(14, arch={"family": "x86_64", "variant": "v3"}), "one platform": entry(1, minor=16),
    }  # fmt: skip
    assert [(build.version, build.platform) for build in pythons.newest(metadata)] == [
        ("3.12.10", "linux/amd64"),
        ("3.12.10", "linux/arm64"),
    ]


@pytest.mark.parametrize("dependencies", [[], ["uv>=0.5"], ["uv==1", "uv==2"]])
def test_a_project_that_does_not_pin_one_uv_is_refused(dependencies):
    with pytest.raises(SystemExit, match="exactly one"):
        pythons.uv_version(f"[project]\ndependencies = {dependencies}")
