"""Names of images: always valid, never shared by two sources."""

import re

import pytest
from docker.utils.build import match_tag
from hypothesis import assume, example, given
from hypothesis import strategies as st

from r2d.errors import InvalidImageName
from r2d.image_name import image_name_for, validate_image_name

KEY = "0123456789abcdef" * 4
ANY_TEXT = st.text(st.characters())
CONTENTS = st.one_of(st.none(), st.from_regex(r"[0-9a-f]{7}", fullmatch=True), ANY_TEXT)


def test_a_repository_at_a_commit_has_the_name_that_hubs_know() -> None:
    name = image_name_for("file:///w/g.git", content="bc5e771", key=KEY)
    assert name == "r2dfile-3a-2f-2f-2fw-2fg-2egitbc5e771"


def test_a_folder_without_content_is_named_by_its_key_and_not_by_the_clock() -> None:
    assert image_name_for("project", content=None, key=KEY) == "r2dproject0123456"


def test_a_full_commit_is_shortened() -> None:
    full = "bc5e771a03dd3a0ffbfd4f1ae6b0a4c9c2a4ed11"
    assert image_name_for("a", content=full, key=KEY) == image_name_for("a", content="bc5e771", key=KEY)


def test_sources_that_differ_by_case_have_different_names() -> None:
    names = {image_name_for(source, content="bc5e771", key=KEY) for source in ("A/b", "a/B", "a/b", "A/B")}
    assert len(names) == 4


def test_a_folder_of_a_repository_is_part_of_the_name() -> None:
    name = image_name_for("file:///w/g.git", subdir="sub/deep", content="da8c38c", key=KEY)
    assert "-2egitsub-2fdeep" in name
    assert name.endswith("da8c38c")
    assert name != image_name_for("file:///w/g.gitsub/deep", content="da8c38c", key=KEY)


def test_a_long_source_keeps_its_beginning_and_its_commit() -> None:
    name = image_name_for("https://example.org/" + "long/" * 100, content="bc5e771", key=KEY)
    assert name.startswith("r2dhttps-3a-2f-2fexample-2eorg-2flong")
    assert name.endswith("bc5e771")
    assert len(name) <= 128


@given(ANY_TEXT, ANY_TEXT, CONTENTS)
@example("-", "", None)
@example("\udcff\n", "_", "a.")
@example("x" * 300, "y" * 300, "z" * 300)
@example("", "", "")
def test_every_name_made_is_valid_and_short(source: str, subdir: str, content: str | None) -> None:
    name = image_name_for(source, subdir=subdir, content=content, key=KEY)
    validate_image_name(name)
    assert match_tag(name)
    assert len(name) <= 128
    assert name[-1].isalnum()


SHORT_TEXT = st.text("aAbB-/2f", max_size=6)
INPUTS = st.tuples(
    SHORT_TEXT, SHORT_TEXT, st.one_of(st.just("bc5e771"), st.text("aA2f-", min_size=1, max_size=8))
)


@given(INPUTS, INPUTS)
@example(("ab", "", "bc5e771"), ("a", "b", "bc5e771"))
@example(("a", "", "bbc5e771"), ("ab", "", "bc5e771"))
@example(("x" * 200 + "a", "", "bc5e771"), ("x" * 200 + "b", "", "bc5e771"))
def test_different_inputs_have_different_names(
    one: tuple[str, str, str], other: tuple[str, str, str]
) -> None:
    assume(one != other)
    first = image_name_for(one[0], subdir=one[1], content=one[2], key=KEY)
    assert first != image_name_for(other[0], subdir=other[1], content=other[2], key=KEY)


@pytest.mark.parametrize(
    "name",
    [
        "test.COM/valid_name:1.0.0",
        "test.com/valid_name:1.0.0",
        "localhost:5000/x",
        "a__b",
        "a--b",
        "a/b/c.d_e-f:Tag_1.x-y",
        f"image@sha256:{'0' * 64}",
        f"host.example:443/a/b:tag@sha256:{'a' * 64}",
    ],
)
def test_a_name_registries_take_is_valid(name: str) -> None:
    validate_image_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Test/Invalid_name:1.0.0",
        "_test/Invalid_name:1.0.0",
        "test..com/valid_name:1.0.0",
        "Test.com/valid_name:1.0.0",
        "a_-b",
        "a-",
        "a.",
        "a:",
        "a: b",
        "a:-x",
        "a\n",
        "a/",
        "/a",
        "ä",
        "a@sha256:12",
        f"a:{'t' * 129}",
        "a" * 256,
    ],
)
def test_a_name_no_registry_takes_is_refused(name: str) -> None:
    with pytest.raises(InvalidImageName):
        validate_image_name(name)


@pytest.mark.parametrize(
    ("name", "suggestion"),
    [
        ("My Project:1.0", "my-project:1.0"),
        ("Test.com/Name:1.0.0", "test.com/name:1.0.0"),
        ("Localhost:5000/x", "localhost:5000/x"),
        ("a_-b", "a-b"),
        ("", "image"),
    ],
)
def test_a_refusal_suggests_the_nearest_valid_name(name: str, suggestion: str) -> None:
    with pytest.raises(InvalidImageName) as caught:
        validate_image_name(name)
    assert caught.value.fix == f"Use {suggestion!r}, for example."


@given(st.one_of(ANY_TEXT, st.text("aA:/@._-0", max_size=40)))
def test_every_suggestion_is_valid(name: str) -> None:
    try:
        validate_image_name(name)
    except InvalidImageName as refusal:
        found = re.fullmatch(r"Use '(.*)', for example\.", refusal.fix or "")
        assert found
        validate_image_name(found[1])


def test_a_hostile_name_is_refused_at_once() -> None:
    with pytest.raises(InvalidImageName):
        validate_image_name("a" + "-" * 50_000 + "!")
