"""How Podman is set up for a machine."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from r2d.engines.podman_service import Machine, containers_conf, storage_conf

PLENTY = 1_048_576
BOTH = frozenset({"crun", "runc"})


def machine(**fields: Any) -> Machine:
    ordinary: dict[str, Any] = {
        "open_files": PLENTY,
        "processes": PLENTY,
        "unified_cgroups": True,
        "systemd": True,
        "runtimes": BOTH,
    }
    return Machine(**{**ordinary, **fields})


@pytest.mark.parametrize(
    ("found", "conf"),
    [
        (machine(), {"containers": {}, "engine": {}}),
        (
            machine(open_files=20_000, processes=96_365),
            {"containers": {"default_ulimits": ["nofile=20000:20000", "nproc=30000:30000"]}, "engine": {}},
        ),
        (
            machine(processes=4_096),
            {"containers": {"default_ulimits": ["nofile=1048576:1048576", "nproc=4096:4096"]}, "engine": {}},
        ),
        (machine(unified_cgroups=False), {"containers": {}, "engine": {"runtime": "runc"}}),
        (machine(unified_cgroups=False, runtimes=frozenset({"crun"})), {"containers": {}, "engine": {}}),
        (machine(runtimes=frozenset({"runc"})), {"containers": {}, "engine": {"runtime": "runc"}}),
        (
            machine(systemd=False),
            {
                "containers": {"log_driver": "k8s-file"},
                "engine": {"cgroup_manager": "cgroupfs", "events_logger": "file"},
            },
        ),
    ],
)
def test_only_what_the_machine_lacks_is_set(found: Machine, conf: dict[str, Any]) -> None:
    assert tomllib.loads(containers_conf(found)) == conf


def test_a_store_may_have_any_path() -> None:
    conf = tomllib.loads(storage_conf(Path('/home/a "b" \\c'), Path("/run/user/1")))
    assert conf["storage"] == {"driver": "overlay", "graphroot": '/home/a "b" \\c', "runroot": "/run/user/1"}
