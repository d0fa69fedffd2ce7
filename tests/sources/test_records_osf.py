import hashlib
from typing import Any

import pytest

from r2d.errors import ContentDamaged, UnsupportedRepository
from r2d.events import Warned
from tests.sources.record_world import World
from tests.sources.service_servers import Reply, document

pytest_plugins = ["tests.sources.services"]

API = "https://api.osf.io"


def entry(world: World, path: str, content: bytes) -> dict[str, Any]:
    world.service.answers(f"/download{path}", Reply(content))
    return {
        "attributes": {
            "kind": "file",
            "name": path.rpartition("/")[2],
            "materialized_path": path,
            "size": len(content),
            "extra": {"hashes": {"sha256": hashlib.sha256(content).hexdigest()}},
        },
        "links": {"download": f"https://files.osf.io/download{path}"},
    }


def folder(kind: str, href: str, **attributes: str) -> dict[str, Any]:
    related = {"links": {"related": {"href": f"{API}{href}"}}}
    return {"attributes": {"kind": kind, **attributes}, "relationships": {"files": related}}


@pytest.fixture
def project(world: World) -> World:
    answers = world.service.answers
    answers("/v2/guids/ezum7/", document({"data": {"id": "ezum7", "type": "nodes"}}))
    storages = [
        folder("folder", "/v2/nodes/ezum7/files/osfstorage/", provider="osfstorage"),
        folder("folder", "/v2/nodes/ezum7/files/github/", provider="github"),
    ]
    answers("/v2/nodes/ezum7/files/", document({"data": storages, "links": {"next": None}}))
    top = "/v2/nodes/ezum7/files/osfstorage/"
    first = [entry(world, "/run.py", b"1"), folder("folder", f"{top}5c0/", name="data")]
    answers(top, document({"data": first, "links": {"next": f"{API}{top}?page=2"}}))
    answers(f"{top}?page=2", document({"data": [entry(world, "/second", b"2")], "links": {}}))
    answers(f"{top}5c0/", document({"data": [entry(world, "/data/x.csv", b"3")], "links": {"next": None}}))
    return world


@pytest.mark.parametrize(
    "text", ["https://osf.io/ezum7", "osf.io/EZUM7/", "https://osf.io/ezum7/files/osfstorage"]
)
def test_all_pages_of_all_folders_come(project: World, text: str) -> None:
    checkout = project.fetch(text)
    assert project.files == {"run.py": "1", "second": "2", "data/x.csv": "3"}
    assert (checkout.content or "").startswith("ezum7.")


def test_what_lies_in_a_connected_service_is_named(project: World) -> None:
    project.fetch("https://osf.io/ezum7")
    assert any(isinstance(event, Warned) and "github" in event.problem for event in project.events)


def test_a_doi_of_the_osf_leads_there(project: World) -> None:
    values = [{"type": "URL", "data": {"value": "https://osf.io/ezum7"}}]
    project.service.answers("/api/handles/10.17605/OSF.IO/EZUM7", document({"values": values}))
    project.fetch("10.17605/OSF.IO/EZUM7")
    assert "run.py" in project.files


def test_a_file_that_was_altered_on_the_way_is_refused(project: World) -> None:
    project.service.answers("/download/run.py", Reply(b"9"))
    with pytest.raises(ContentDamaged):
        project.fetch("https://osf.io/ezum7")


def test_a_preprint_is_no_project(world: World) -> None:
    world.service.answers("/v2/guids/abcde/", document({"data": {"id": "abcde", "type": "preprints"}}))
    with pytest.raises(UnsupportedRepository, match="preprints"):
        world.fetch("https://osf.io/abcde")
