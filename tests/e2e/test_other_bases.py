"""Bases with accounts of their own, and users with unusual numbers."""

from collections.abc import Iterator

import pytest

from r2d.engines.protocol import BuildRequest
from r2d.events import ignore
from tests.e2e.machine import Machine
from tests.engines.conftest import context_of
from tests.golden.corpus import ROOT

EXAMPLE = ROOT / "examples/requirements"

# What an Ubuntu image has and a Debian one has not: a person's account under the number 1000, another os-release.
_LIKE_UBUNTU = """\
FROM {base}
RUN rm -f /etc/os-release && printf '%s\\n' ID=ubuntu ID_LIKE=debian VERSION_ID=24.04 VERSION_CODENAME=noble \
      UBUNTU_CODENAME=noble >/etc/os-release \
 && groupadd --gid 1000 ubuntu \
 && useradd --uid 1000 --gid 1000 --create-home --shell /bin/bash ubuntu \
 && echo kept >/home/ubuntu/of-ubuntu && chown 1000:1000 /home/ubuntu/of-ubuntu
LABEL r2d.base="" r2d.base.distribution="" r2d.base.release="" r2d.base.python=""
"""


@pytest.fixture(scope="module")
def like_ubuntu(docker: Machine) -> Iterator[str]:
    """A base that looks like Ubuntu 24.04, with this machine's own base below it."""
    name = "r2d-e2e/like-ubuntu:latest"
    context = context_of(_LIKE_UBUNTU.format(base=docker.base))
    docker.engine.build(BuildRequest(tag=name, context=context), ignore)
    yield name
    docker.engine.remove_image(name)


def test_ubuntus_own_account_becomes_the_user_and_its_home_moves(docker: Machine, like_ubuntu: str) -> None:
    name = docker.build(EXAMPLE, "--base-image", like_ubuntu)
    said = docker.tell(name, "bash", "-c", "getent passwd 1000; getent group 1000; cat of-ubuntu; ls /home")
    passwd, group, kept, homes = said.splitlines()
    assert passwd.startswith("jovyan:x:1000:1000:")
    assert passwd.endswith(":/home/jovyan:/bin/bash")
    assert group.startswith("jovyan:x:1000:")
    assert (kept, homes) == ("kept", "jovyan")
    assert docker.tell(name, "python", "-c", "import humanize; print(humanize.ordinal(2))") == "2nd"


def test_a_base_nobody_knows_is_asked_what_it_is(docker: Machine, like_ubuntu: str) -> None:
    said = docker.r2d("explain", "--base-image", like_ubuntu, EXAMPLE, check=True).stdout
    assert "ubuntu 24.04" in " ".join(said.split())
    assert "a look into it" in " ".join(said.split())


@pytest.mark.parametrize("uid", [33, 4321])
def test_the_user_has_the_number_that_was_asked_for(docker: Machine, uid: int) -> None:
    # 33 is an account of the system's own: it keeps its name and shares the number.
    name = docker.build(ROOT / "examples/plain", "--user-id", str(uid))
    said = docker.tell(
        name, "bash", "-c", "id -u; touch ~/new && stat -c %u ~/new index.ipynb; echo $NB_UID; whoami"
    )
    assert said.split()[:4] == [str(uid)] * 4
    assert docker.tell(name, "getent", "passwd", "jovyan").split(":")[2] == str(uid)


def test_another_name_for_the_user_and_another_folder(docker: Machine) -> None:
    options = ("--user-name", "ada", "--target-repo-dir", "/srv/repository")
    name = docker.build(ROOT / "examples/plain", *options)
    said = docker.tell(name, "bash", "-c", "whoami; echo $HOME; pwd; ls; touch new ~/new; echo $REPO_DIR")
    assert said.split() == [
        "ada",
        "/home/ada",
        "/srv/repository",
        "expect.toml",
        "index.ipynb",
        "/srv/repository",
    ]
