import io
import tarfile

import pytest

from r2d.errors import SourceNotFound, TemporaryFailure, WrongUsage
from r2d.sources.records import recognise
from tests.sources.record_world import World
from tests.sources.service_servers import Reply, document, redirect

pytest_plugins = ["tests.sources.services"]

REV, DIR, REL, SNP = ("1" * 40, "2" * 40, "3" * 40, "4" * 40)
VAULT = f"/api/1/vault/flat/swh:1:dir:{DIR}/"
DONE = document({"status": "done", "fetch_url": f"/api/1/vault/flat/swh:1:dir:{DIR}/raw/"})
PENDING = document({"status": "pending", "progress_message": "Processing..."})


def bundle() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in {"README": b"hi", "sub/x": b"y"}.items():
            member = tarfile.TarInfo(f"swh:1:dir:{DIR}/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


@pytest.fixture
def archive(world: World) -> World:
    answers = world.service.answers
    answers(f"/api/1/revision/{REV}/", document({"id": REV, "directory": DIR}))
    answers(f"/api/1/release/{REL}/", document({"id": REL, "target": REV, "target_type": "revision"}))
    branches = {
        "HEAD": {"target": "refs/heads/main", "target_type": "alias"},
        "refs/heads/main": {"target": REV, "target_type": "revision"},
    }
    answers(f"/api/1/snapshot/{SNP}/", document({"id": SNP, "branches": branches}))
    answers(VAULT, DONE)
    answers(f"{VAULT}raw/", Reply(bundle(), headers={"Content-Type": "application/gzip"}))
    return world


@pytest.mark.parametrize(
    "text",
    [
        f"swh:1:dir:{DIR}",
        f"swh:1:rev:{REV}",
        f"swh:1:rev:{REV};origin=https://github.com/a/b;visit=swh:1:snp:{SNP};path=/x",
        f"https://archive.softwareheritage.org/swh:1:rev:{REV}/",
        f"swh:1:rel:{REL}",
        f"swh:1:snp:{SNP}",
    ],
)
def test_every_identifier_ends_at_its_directory(archive: World, text: str) -> None:
    assert archive.fetch(text).content == f"swh:1:dir:{DIR}"
    assert archive.files == {"README": "hi", "sub/x": "y"}


def test_the_vault_is_waited_for(archive: World) -> None:
    archive.service.answers(VAULT, PENDING, PENDING, DONE)
    archive.fetch(f"swh:1:dir:{DIR}")
    assert archive.time.pauses == [5.0, 5.0]
    assert [asked.method for asked in archive.service.asked if asked.path == VAULT] == ["POST", "GET", "GET"]


def test_a_vault_that_never_ends_is_a_temporary_failure(archive: World) -> None:
    archive.service.answers(VAULT, PENDING)
    with pytest.raises(TemporaryFailure):
        archive.fetch(f"swh:1:dir:{DIR}")


def test_a_vault_that_fails_says_why(archive: World) -> None:
    archive.service.answers(VAULT, document({"status": "failed", "progress_message": "too big"}))
    with pytest.raises(SourceNotFound, match="too big"):
        archive.fetch(f"swh:1:dir:{DIR}")


def test_the_token_goes_to_the_archive_and_to_nobody_it_redirects_to(archive: World) -> None:
    archive.service.answers(f"{VAULT}raw/", redirect("https://files.osf.io/elsewhere"))
    archive.service.answers("/elsewhere", Reply(bundle()))
    archive.fetch(f"swh:1:dir:{DIR}")
    sent = {asked.path: asked.headers.get("Authorization") for asked in archive.service.asked}
    assert sent[f"{VAULT}raw/"] == "Bearer secret-token"
    assert sent["/elsewhere"] is None


@pytest.mark.parametrize(
    "text",
    [f"swh:1:cnt:{DIR}", f"swh:1:ori:{DIR}", f"swh:2:rev:{REV}", "swh:1:rev:abc", f"swh:1:rev:{'A' * 40}"],
)
def test_an_identifier_that_names_no_folder_is_refused(text: str) -> None:
    with pytest.raises(WrongUsage):
        recognise(text)
