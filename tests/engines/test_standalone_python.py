"""The pinned list of Pythons, a mirror and a real uv: what is promised is installed, and nothing else."""

import json
import os
import subprocess
from pathlib import Path

import pytest
import uv

from r2d_buildpacks.python import standalone
from r2d_buildpacks.python.update_pins import MIRRORED_PREFIX
from tests.relocatable_python import host_minor, make_standalone, mirror_of, serve


@pytest.fixture(scope="module")
def packed(tmp_path_factory) -> Path:
    return make_standalone(host_minor(), tmp_path_factory.mktemp("standalone"))


def install(mirror: str, downloads: bytes, folder: Path) -> "subprocess.CompletedProcess[str]":
    listed = folder / "pythons.json"
    listed.write_bytes(downloads)
    environment = {
        name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")
    } | {
        "UV_PYTHON_DOWNLOADS_JSON_URL": listed.as_uri(),
        "UV_PYTHON_INSTALL_MIRROR": mirror,
        "UV_CACHE_DIR": str(folder / "cache"),
        "UV_HTTP_RETRIES": "0",
    }
    command = [
        uv.find_uv_bin(),
        "python",
        "install",
        "--no-config",
        "--no-bin",
        "--install-dir",
        str(folder / "pythons"),
    ]
    return subprocess.run(
        [*command, host_minor()], env=environment, capture_output=True, text=True, check=False
    )


def test_uv_installs_a_pinned_python_from_a_mirror(packed, tmp_path):
    pinned = standalone.downloads_json(host_minor(), "linux/amd64")
    mirrored = mirror_of(packed, pinned, tmp_path / "mirror", MIRRORED_PREFIX)
    with serve(tmp_path / "mirror") as mirror:
        done = install(mirror, mirrored, tmp_path)
    assert done.returncode == 0, done.stderr
    (interpreter,) = (tmp_path / "pythons").glob(f"cpython-{host_minor()}.*/bin/python{host_minor()}")
    prints = "import ssl, sqlite3, ctypes, lzma, bz2, readline, sys; print(sys.prefix)"
    said = subprocess.run([interpreter, "-c", prints], capture_output=True, text=True, check=True).stdout
    assert Path(said.strip()).resolve() == interpreter.parents[1].resolve()


def test_uv_refuses_a_python_that_is_not_the_pinned_one(packed, tmp_path):
    pinned = standalone.downloads_json(host_minor(), "linux/amd64")
    mirrored = json.loads(mirror_of(packed, pinned, tmp_path / "mirror", MIRRORED_PREFIX))
    for entry in mirrored.values():
        entry["sha256"] = "0" * 64
    with serve(tmp_path / "mirror") as mirror:
        done = install(mirror, json.dumps(mirrored).encode(), tmp_path)
    assert done.returncode != 0
    assert "hash" in done.stderr.lower()
    assert not list((tmp_path / "pythons").glob("cpython-*"))
