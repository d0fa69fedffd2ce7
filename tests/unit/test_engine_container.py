"""What an engine is asked for when a container is created, heard by a small server that stands for the engine."""

import json
from pathlib import Path
from typing import Any

import pytest

from r2d.engines.engine_api import EngineApi
from r2d.engines.protocol import RunRequest, Volume
from tests.engines.speaking import DOCKER, PODMAN, Asked, speaking_engine

FOLDER = (Volume("/home/me/work", "/home/user/work"),)
OLD_PODMAN = PODMAN | {"Version": "4.2.0"}


def asked_for(tmp_path: Path, request: RunRequest, version: dict[str, object], *, rootless: bool) -> Any:
    heard: list[Any] = []

    def create(asked: Asked) -> None:
        if asked.path.partition("?")[0].endswith("/containers/create"):
            heard.append(json.loads(asked.rfile.read(int(asked.headers["Content-Length"]))))
            asked.answer({"Id": "c1"}, 201)
        elif asked.path.endswith("/start"):
            asked.answer({})
        else:
            asked.answer({"message": "no such image"}, 404)

    with (
        speaking_engine(tmp_path / "s", create, version, rootless=rootless) as address,
        EngineApi(address) as engine,
    ):
        engine.run(request)
    return heard[0]


@pytest.mark.parametrize(("uid", "owner"), [(None, 1000), (1234, 1234), (0, 0)])
def test_rootless_podman_lets_the_images_user_own_the_mounted_folder(
    tmp_path: Path, uid: int | None, owner: int
) -> None:
    request = RunRequest("x", volumes=FOLDER, uid=uid)
    config = asked_for(tmp_path, request, PODMAN, rootless=True)
    assert config["HostConfig"]["UsernsMode"] == f"keep-id:uid={owner},gid={owner}"


@pytest.mark.parametrize(
    ("version", "rootless", "volumes"),
    [(PODMAN, True, ()), (PODMAN, False, FOLDER), (OLD_PODMAN, True, FOLDER), (DOCKER, True, FOLDER)],
)
def test_any_other_container_keeps_the_engines_own_mapping_of_users(
    tmp_path: Path, version: dict[str, object], rootless: bool, volumes: tuple[Volume, ...]
) -> None:
    config = asked_for(tmp_path, RunRequest("x", volumes=volumes), version, rootless=rootless)
    assert "UsernsMode" not in config["HostConfig"]
