from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r2d.errors import R2DError, WrongUsage
from r2d.running import Server
from r2d.sources import recognise as recognise_any
from r2d.sources.launch_links import LaunchLink, recognise

HUB = "https://mybinder.org"


@pytest.mark.parametrize(
    ("path", "link"),
    [
        ("gh/org/repo/main", LaunchLink("https://github.com/org/repo", "main")),
        ("gh/org/repo.git/HEAD", LaunchLink("https://github.com/org/repo", "HEAD")),
        ("gh/org/repo/feature/x", LaunchLink("https://github.com/org/repo", "feature/x")),
        ("gh/org/repo/feature%2Fx", LaunchLink("https://github.com/org/repo", "feature/x")),
        ("gl/group%2Fsub%2Fproject/v1.0", LaunchLink("https://gitlab.com/group/sub/project.git", "v1.0")),
        ("gist/me/abc123/def456", LaunchLink("https://gist.github.com/me/abc123.git", "def456")),
        ("gist/me/abc123", LaunchLink("https://gist.github.com/me/abc123.git")),
        ("git/https%3A%2F%2Fgit.example.org%2Fa.git/a/b", LaunchLink("https://git.example.org/a.git", "a/b")),
        ("git/git%40example.org%3Aa%2Fb.git/main", LaunchLink("git@example.org:a/b.git", "main")),
        ("zenodo/10.5281/zenodo.3242074/", LaunchLink("10.5281/zenodo.3242074")),
        ("figshare/10.6084/m9.figshare.9782777.v1", LaunchLink("10.6084/m9.figshare.9782777.v1")),
        ("dataverse/10.7910/DVN/TJCLKP", LaunchLink("10.7910/DVN/TJCLKP")),
        ("hydroshare/b8f6eae9", LaunchLink("https://www.hydroshare.org/resource/b8f6eae9")),
        (
            "ckan/https%3A%2F%2Fdemo.ckan.org%2Fdataset%2Fx%3Factivity_id%3D1",
            LaunchLink("https://demo.ckan.org/dataset/x?activity_id=1"),
        ),
    ],
)
def test_every_provider_names_its_repository(path: str, link: LaunchLink) -> None:
    assert recognise(f"{HUB}/v2/{path}") == link


@pytest.mark.parametrize(
    ("query", "page"),
    [
        ("urlpath=rstudio", "rstudio"),
        ("urlpath=/lab/tree/a.ipynb", "lab/tree/a.ipynb"),
        ("labpath=sub%2Fa%20b.ipynb", "doc/tree/sub/a%20b.ipynb"),
        ("filepath=a.ipynb", "tree/a.ipynb"),
        ("urlpath=git-pull%3Frepo%3Dhttps%253A%252F%252Fgithub.com%252Fx%252Fy%26branch%3Dmain",
         "git-pull?repo=https%3A%2F%2Fgithub.com%2Fx%2Fy&branch=main"),
        ("build_only=true", None),
        ("", None),
    ],
)  # fmt: skip
def test_the_page_to_open_is_kept(query: str, page: str | None) -> None:
    assert recognise(f"{HUB}/v2/gh/org/repo/main?{query}") == LaunchLink(
        "https://github.com/org/repo", "main", page
    )


@pytest.mark.parametrize(
    ("query", "url"),
    [
        ("urlpath=lab%2Ftree%2FMy%20Note%23book.ipynb", "lab/tree/My%20Note%23book.ipynb?token=T"),
        ("urlpath=lab%2Ftree%2FMy%2520Note.ipynb", "lab/tree/My%20Note.ipynb?token=T"),
        ("urlpath=tree%2F100%25.ipynb", "tree/100%25.ipynb?token=T"),
        ("urlpath=tree%2F%C3%A9%0A.ipynb", "tree/%C3%A9%0A.ipynb?token=T"),
        ("urlpath=voila%3Fx%3Da%20b%23part", "voila?x=a%20b&token=T#part"),
        ("labpath=a%23b.ipynb", "doc/tree/a%23b.ipynb?token=T"),
    ],
)
def test_the_page_of_a_link_makes_a_whole_url(query: str, url: str) -> None:
    link = recognise(f"{HUB}/v2/gh/org/repo/main?{query}")

    assert link is not None
    assert link.open_at is not None
    assert Server("T", open_at=link.open_at).url("127.0.0.1", 1) == f"http://127.0.0.1:1/{url}"


@pytest.mark.parametrize(
    "text",
    [
        "https://hub.example/v2/swh/swh%3A1%3Arev%3A0123/",
        "[![Binder](https://mybinder.org/badge_logo.svg)](https://user:secret@hub.example/v2/swh/x?urlpath=lab)",
    ],
)
def test_a_link_of_an_unknown_provider_is_told_the_known_ones(text: str) -> None:
    with pytest.raises(WrongUsage, match="'swh'") as caught:
        recognise_any(text, ref=None, working_folder=Path("/nonexistent"))
    assert "gh, gist, gl, git, zenodo" in str(caught.value.fix)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "https://github.com/v2/project",
        "https://git.example/v2/project.git",
        "git+https://git.example/v2/project/deep",
        "hg+https://hg.example/v2/project/deep",
        "https://files.example/v2/files/repo.zip",
    ],
)
def test_an_address_with_v2_in_it_can_be_something_else(text: str) -> None:
    assert recognise_any(text, ref=None, working_folder=Path("/nonexistent"))


@pytest.mark.parametrize(
    "badge",
    [
        "[![Binder](https://mybinder.org/badge_logo.svg)](https://hub.example/v2/gh/org/repo/main?urlpath=lab)",
        ".. image:: https://mybinder.org/badge_logo.svg\n   :target: https://hub.example/v2/gh/org/repo/main?urlpath=lab\n",
        '<a href="https://hub.example/v2/gh/org/repo/main?urlpath=lab"><img src="https://mybinder.org/badge.svg"></a>',
        '<a href="https://hub.example/v2/gh/org/repo/main?x=1&amp;urlpath=lab">',
        "  https://hub.example/services/binder/v2/gh/org/repo/main?urlpath=lab  ",
        "Try it: <https://hub.example/v2/gh/org/repo/main?urlpath=lab>.",
    ],
)
def test_a_badge_can_be_pasted_whole(badge: str) -> None:
    assert recognise(badge) == LaunchLink("https://github.com/org/repo", "main", "lab")


def test_the_links_of_old_are_understood() -> None:
    assert recognise(f"{HUB}/repo/org/repo") == LaunchLink("https://github.com/org/repo")


@pytest.mark.parametrize(
    "text",
    [
        "https://github.com/v2/gh/org/repo/main",
        "https://github.com/org/v2/gh/tree/main",
        "https://gitlab.com/repo/org/repo",
        "https://hub.example/v2/unknown/org/repo/main",
        "https://registry.example/v2/",
        "https://zenodo.org/records/1",
        "10.5281/zenodo.1",
        "http://[broken/v2/gh/a/b/c",
    ],
)
def test_what_only_looks_like_one_is_left_to_others(text: str) -> None:
    assert recognise(text) is None


@pytest.mark.parametrize(
    "path",
    [
        "gh/org/repo",
        "gl/project",
        "git/https%3A%2F%2Fx%2Fy",
        "git/%2Fetc/main",
        "git/ext%3A%3Ash/x",
        "zenodo/~",
    ],
)
def test_a_link_that_is_cut_off_or_points_into_this_machine_is_refused(path: str) -> None:
    with pytest.raises(WrongUsage, match="cut off"):
        recognise(f"{HUB}/v2/{path}")


pieces = st.sampled_from(
    [*"/?#%=&:[]()<>@. \n", "v2", "gh", "gl", "git", "repo", "https://", "%2F", "%", "10.1/x", "é"]
)


@given(st.one_of(st.text(), st.lists(pieces, max_size=14).map("".join)).map(lambda tail: f"https://h/{tail}"))
def test_no_text_breaks_the_recogniser(text: str) -> None:
    try:
        found = recognise(text)
    except R2DError:
        return
    assert found is None or found.repository
