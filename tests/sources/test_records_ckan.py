import pytest

from r2d.errors import SourceNotFound
from r2d.sources.records import recognise
from tests.sources.record_world import World
from tests.sources.service_servers import Reply, document

pytest_plugins = ["tests.sources.services"]

PORTAL = "https://portal.example.org"
PACKAGE = {
    "metadata_modified": "2024-02-27T14:15:54.573058",
    "resources": [
        {"id": "r1", "url": f"{PORTAL}/files/data.csv"},
        {"id": "r2", "url": f"{PORTAL}/other/data.csv"},
        {"id": "r3", "url": f"{PORTAL}/files/run%20me.py"},
    ],
}


@pytest.fixture
def portal(world: World) -> World:
    world.service.answers("/files/data.csv", Reply(b"1"))
    world.service.answers("/other/data.csv", Reply(b"2"))
    world.service.answers("/files/run%20me.py", Reply(b"3"))
    world.service.answers(
        "/api/3/action/package_show?id=rivers", document({"success": True, "result": PACKAGE})
    )
    world.service.answers(
        "/api/3/action/activity_data_show?id=act-1&object_type=package",
        document({"success": True, "result": PACKAGE | {"resources": PACKAGE["resources"][:2]}}),
    )
    return world


def test_the_resources_of_a_dataset_keep_apart_what_has_one_name(portal: World) -> None:
    assert portal.fetch(f"{PORTAL}/dataset/rivers").content == "rivers.v1709043354"
    assert portal.files == {"data.csv": "1", "r2-data.csv": "2", "run me.py": "3"}


@pytest.mark.parametrize("tail", ["?activity_id=act-1", "/history/act-1", "/history/other?activity_id=act-1"])
def test_an_activity_is_honoured_and_part_of_the_content(portal: World, tail: str) -> None:
    assert portal.fetch(f"{PORTAL}/dataset/rivers{tail}").content == "rivers.v1709043354.act-1"
    assert set(portal.files) == {"data.csv", "r2-data.csv"}


def test_a_site_that_is_no_portal_says_so_and_how_to_name_a_git_repository(world: World) -> None:
    world.service.answers("/api/3/action/package_show", Reply(b"not here", 404))
    with pytest.raises(SourceNotFound) as caught:
        world.fetch(f"{PORTAL}/dataset/rivers")
    assert ".git" in (caught.value.fix or "")


@pytest.mark.parametrize(
    "url",
    [
        "https://github.com/dataset/repo",
        "https://gitlab.com/a/dataset/b",
        "https://git.example.org/dataset/a.git",
    ],
)
def test_a_repository_whose_path_says_dataset_is_no_dataset(url: str) -> None:
    assert recognise(url) is None
