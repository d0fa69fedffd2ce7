import pytest

from r2d.errors import SourceNotFound, TemporaryFailure
from tests.sources.record_world import World, zipped
from tests.sources.service_servers import Reply, document

pytest_plugins = ["tests.sources.services"]

ID = "b8f6eae9d89241cf8b5904033460af61"
URL = f"https://www.hydroshare.org/resource/{ID}/"
BAG = f"/django_s3/download/bags/{ID}.zip"
PAGE = Reply(b"<html>preparing", headers={"Content-Type": "text/html; charset=utf-8"})
ZIP = Reply(
    zipped({f"{ID}/bagit.txt": "x", f"{ID}/data/contents/run.py": "1", f"{ID}/data/contents/d/x": "2"}),
    headers={"Content-Type": "application/zip"},
)


@pytest.fixture
def resource(world: World) -> World:
    world.service.answers(
        f"/hsapi/resource/{ID}/scimeta/elements/",
        document({"dates": [{"type": "modified", "start_date": "2019-09-25T16:09:17.006152Z"}]}),
    )
    return world


def test_the_contents_of_the_bag_are_the_checkout(resource: World) -> None:
    resource.service.answers(BAG, ZIP)
    assert resource.fetch(URL).content == f"{ID}.v1569427757"
    assert resource.files == {"run.py": "1", "d/x": "2"}


def test_a_bag_that_is_being_packed_is_waited_for(resource: World) -> None:
    resource.service.answers(BAG, PAGE, PAGE, ZIP)
    resource.fetch(URL)
    assert resource.time.pauses == [10.0, 10.0]
    assert "run.py" in resource.files


def test_a_bag_that_is_never_packed_is_a_temporary_failure(resource: World) -> None:
    resource.service.answers(BAG, PAGE)
    with pytest.raises(TemporaryFailure, match="not packed"):
        resource.fetch(URL)
    assert sum(resource.time.pauses) == 600
    assert list(resource.into.iterdir()) == []


def test_a_resource_that_does_not_exist_says_so(world: World) -> None:
    with pytest.raises(SourceNotFound):
        world.fetch(URL)


def test_a_doi_leads_to_its_resource(resource: World) -> None:
    values = [{"type": "URL", "data": {"value": f"http://www.hydroshare.org/resource/{ID}"}}]
    resource.service.answers(f"/api/handles/10.4211/hs.{ID}", document({"values": values}))
    resource.service.answers(BAG, ZIP)
    assert resource.fetch(f"10.4211/hs.{ID}").source == f"10.4211/hs.{ID}"
