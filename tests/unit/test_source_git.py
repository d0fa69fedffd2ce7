"""Which texts are git repositories, which state of them is meant, and what never is one."""

import contextlib
import socket
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from r2d.errors import R2DError, SourceFailed, SourceNotFound, SourceRefused, TemporaryFailure, UnsafeContent
from r2d.sources import Source, git, git_address, git_failures, git_refs, mercurial, recognise
from r2d.sources.git import RecognisedGit
from r2d.sources.git_refs import RemoteRefs, Unresolved, Wanted

NOWHERE = Path("/nonexistent")


def recognised(text: str, ref: str | None = None) -> RecognisedGit:
    found = git.recognise(text, ref=ref, working_folder=NOWHERE)
    assert isinstance(found, RecognisedGit), text
    return found


@pytest.mark.parametrize(
    ("page", "url", "ref", "tail"),
    [
        ("https://github.com/o/r", "https://github.com/o/r", None, None),
        ("https://github.com/o/r/", "https://github.com/o/r", None, None),
        ("https://github.com/o/r.git", "https://github.com/o/r.git", None, None),
        ("https://github.com/o/r/tree/a/b/c", "https://github.com/o/r", None, "a/b/c"),
        ("https://github.com/o/r/tree/a%2Fb/c%20d", "https://github.com/o/r", None, "a/b/c d"),
        ("https://github.com/o/r/blob/main/x.ipynb", "https://github.com/o/r", None, "main/x.ipynb"),
        ("https://github.com/o/r/pull/12", "https://github.com/o/r", "refs/pull/12/head", None),
        ("https://github.com/o/r/pull/12/files", "https://github.com/o/r", "refs/pull/12/head", None),
        ("https://github.com/o/r/commit/abcdef1", "https://github.com/o/r", "abcdef1", None),
        ("https://github.com/o/r/releases/tag/v1.0", "https://github.com/o/r", "refs/tags/v1.0", None),
        (
            "https://gist.github.com/jo/0123456789abcdef",
            "https://gist.github.com/0123456789abcdef.git",
            None,
            None,
        ),
        (
            "https://gist.github.com/jo/0123456789abcdef/0123456789012345678901234567890123456789",
            "https://gist.github.com/0123456789abcdef.git",
            "0123456789012345678901234567890123456789",
            None,
        ),
        ("https://gitlab.com/g/s/r/-/tree/a/b", "https://gitlab.com/g/s/r.git", None, "a/b"),
        ("https://git.example/g/s/r/-/tags/v1", "https://git.example/g/s/r.git", "refs/tags/v1", None),
        (
            "https://gitlab.com/g/r/-/merge_requests/7/diffs",
            "https://gitlab.com/g/r.git",
            "refs/merge-requests/7/head",
            None,
        ),
        ("https://bitbucket.org/o/r/src/main/folder", "https://bitbucket.org/o/r", None, "main/folder"),
        ("https://bitbucket.org/o/r/src/abc1234/f?at=a%2Fb", "https://bitbucket.org/o/r", None, "a/b/f"),
        ("https://bitbucket.org/o/r/branch/a/b", "https://bitbucket.org/o/r", "refs/heads/a/b", None),
        (
            "https://bitbucket.org/o/r/pull-requests/4",
            "https://bitbucket.org/o/r",
            "refs/pull-requests/4/from",
            None,
        ),
        ("https://git.example/projects/P/repos/r/browse", "https://git.example/scm/p/r.git", None, None),
        ("https://codeberg.org/o/r/src/branch/main/f", "https://codeberg.org/o/r", None, "main/f"),
        ("https://git.example/deep/er/r.git", "https://git.example/deep/er/r.git", None, None),
    ],
)
def test_a_page_is_a_repository_in_a_state(page: str, url: str, ref: str | None, tail: str | None) -> None:
    found = recognised(page)

    assert (found.address.url, found.ref, found.tail) == (url, ref, tail)


@pytest.mark.parametrize("page", ["https://github.com/o/r/issues/3", "https://gitlab.com/g/r/-/pipelines"])
def test_a_page_without_files_names_the_repository(page: str) -> None:
    with pytest.raises(SourceNotFound) as caught:
        recognised(page)
    assert "/r" in str(caught.value.fix)


@pytest.mark.parametrize(
    "text",
    [
        "git@github.com:org/repo.git",
        "github.com:org/repo",
        "host.example:/srv/repo.git",
        "ssh://git@host.example:2222/org/repo.git",
        "git://host.example/repo.git",
        "file:///srv/repo.git",
        "git+https://host.example/repo.git",
        "HTTPS://host.example/repo.git",
        "https://[::1]:8443/repo.git",
    ],
)
def test_the_usual_forms_are_git(text: str) -> None:
    assert recognised(text)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("gh:o/r", "https://github.com/o/r"),
        ("github:o/r", "https://github.com/o/r"),
        ("gl:g/s/r", "https://gitlab.com/g/s/r"),
        ("gitlab:g/r", "https://gitlab.com/g/r"),
    ],
)
def test_an_abbreviated_site_is_no_host_and_its_address_is_offered(text: str, meant: str) -> None:
    with pytest.raises(SourceNotFound) as caught:
        recognise(text, ref=None, working_folder=NOWHERE)
    assert caught.value.fix == f"Did you mean {meant}?"
    assert recognised(f"me@{text}").address.url == f"me@{text}"


@pytest.mark.parametrize(
    "text", ["ext::sh -c id", "fd::17", "file::/etc", "::x", "ext::https://example.org/a.git"]
)
def test_an_address_that_runs_programs_is_refused(text: str) -> None:
    with pytest.raises(UnsafeContent):
        git_address.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "--upload-pack=touch /tmp/x",
        "-oProxyCommand=x:y",
        "ssh://-oProxyCommand=touch%20x/y",
        "ssh://-x@host/y",
        "host.example:-oProxy",
        "ftp://host/a.git",
        "https://host/a b",
        "https://host/a\nb",
        "https://",
        "https://host",
        "https://host:port/x",
        "javascript://x",
    ],
)
def test_what_git_could_misread_is_no_git_address(text: str) -> None:
    with contextlib.suppress(SourceNotFound):
        assert git.recognise(text, ref=None, working_folder=NOWHERE) is None


@pytest.mark.parametrize(
    "text",
    [
        "https://jo:s3%40cret@host.example/r",
        "https://s3%40cret@host.example/r",
        "ssh://jo:s3%40cret@h.example/r",
    ],
)
def test_no_secret_can_be_seen_in_what_was_recognised(text: str) -> None:
    found = recognised(text)

    for seen in (repr(found), found.name, found.address.url):
        assert "cret" not in seen


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the network was touched")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


HOSTS = st.sampled_from(
    ["github.com", "gitlab.com", "bitbucket.org", "gist.github.com", "git.example", "[::1", "h:99999"]
)
PARTS = st.sampled_from(
    [
        "o",
        "r",
        "r.git",
        "-",
        "tree",
        "blob",
        "src",
        "branch",
        "commit",
        "pull",
        "1",
        "..",
        "",
        "a%2Fb",
        "%00",
        "projects",
        "repos",
    ]
)
ADDRESSES = st.builds(
    lambda scheme, user, host, parts: f"{scheme}{user}{host}/{'/'.join(parts)}",
    st.sampled_from(["https://", "http://", "ssh://", "git+ssh://", "hg+https://", "file://", "", "ext::"]),
    st.sampled_from(["", "u@", "u:p@", ":@", "@", "u:p:q@"]),
    HOSTS,
    st.lists(PARTS, max_size=8),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=400, deadline=None)
@given(text=st.text(max_size=60) | ADDRESSES, ref=st.none() | st.text(max_size=20))
@example(text="https://[", ref=None)
@example(text="a\0b", ref=None)
def test_any_text_is_recognised_or_refused_without_the_network(
    no_network: None, text: str, ref: str | None
) -> None:
    try:
        found: Source | None = mercurial.recognise(text, ref=ref)
        found = found or git.recognise(text, ref=ref, working_folder=NOWHERE)
    except R2DError:
        return
    assume(isinstance(found, RecognisedGit))
    assert isinstance(found, RecognisedGit)
    again = git_address.parse(found.address.url)
    if again is not None:  # a folder's path is no address
        assert again.url == found.address.url
        assert again.name == found.name


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200, deadline=None)
@given(text=st.text(max_size=40) | ADDRESSES)
def test_the_whole_recogniser_raises_nothing_but_our_errors(no_network: None, text: str) -> None:
    with contextlib.suppress(R2DError):
        assert recognise(text, ref=None, working_folder=NOWHERE).name is not None


REFS = RemoteRefs(
    {
        "HEAD": "a" * 40,
        "refs/heads/main": "a" * 40,
        "refs/heads/feature/x": "b" * 40,
        "refs/tags/feature": "c" * 40,
        "refs/heads/both": "d" * 40,
        "refs/tags/both": "e" * 40,
        "refs/heads/same": "a" * 40,
        "refs/tags/same": "a" * 40,
        "refs/pull/1/head": "f" * 40,
    },
    default="refs/heads/main",
)


@pytest.mark.parametrize(
    ("tail", "expected"),
    [
        ("main", Wanted("a" * 40, "refs/heads/main")),
        ("main/feature/x", Wanted("a" * 40, "refs/heads/main", "feature/x")),
        ("feature/x", Wanted("b" * 40, "refs/heads/feature/x")),
        ("feature/x/deep/er", Wanted("b" * 40, "refs/heads/feature/x", "deep/er")),
        ("feature/y", Wanted("c" * 40, "refs/tags/feature", "y")),
        ("HEAD/y", Wanted("a" * 40, "refs/heads/main", "y")),
        ("bbbbbbb/y", Wanted("b" * 40, "refs/heads/feature/x", "y")),
        ("0123456/y", Unresolved("0123456", "y")),
        ("absent/y", None),
    ],
)
def test_a_tail_is_split_at_the_longest_ref(tail: str, expected: Wanted | Unresolved | None) -> None:
    assert git_refs.resolve_tail(tail, REFS, where="x") == expected


@pytest.mark.parametrize("resolve", [git_refs.resolve, git_refs.resolve_tail])
def test_two_refs_of_one_name_are_no_guess(resolve: object) -> None:
    assert callable(resolve)
    with pytest.raises(SourceNotFound, match="refs/heads/both and refs/tags/both"):
        resolve("both", REFS, where="x")
    assert resolve("same", REFS, where="x") == Wanted("a" * 40, "refs/heads/same")


@given(ref=st.text("abfeatur/x0123456789", min_size=1, max_size=12))
def test_a_ref_never_means_its_last_part(ref: str) -> None:
    found = git_refs.resolve(ref, REFS, where="x") if ref not in ("both",) else None

    if isinstance(found, Wanted) and "/" in ref:
        assert found.ref is not None
        assert found.ref.endswith(ref.removeprefix("origin/"))


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("fatal: unable to access 'https://h/': Could not resolve host: h", TemporaryFailure),
        ("error: RPC failed; HTTP 502 curl 22\nfatal: early EOF", TemporaryFailure),
        ("fatal: unable to access 'x': The requested URL returned error: 503", TemporaryFailure),
        ("fatal: unable to access 'x': The requested URL returned error: 429", TemporaryFailure),
        ("ssh: connect to host h port 22: Connection timed out", TemporaryFailure),
        ("fatal: unable to access 'x': The requested URL returned error: 403", SourceRefused),
        ("fatal: could not read Username for 'https://github.com': terminal prompts disabled", SourceRefused),
        (
            "git@h: Permission denied (publickey).\nfatal: Could not read from remote repository.",
            SourceRefused,
        ),
        ("fatal: unable to access 'x': SSL certificate problem: self-signed certificate", SourceRefused),
        ("Host key verification failed.\nfatal: the remote end hung up unexpectedly", SourceRefused),
        ("remote: Repository not found.\nfatal: repository 'https://x/' not found", SourceNotFound),
        ("fatal: '/x' does not appear to be a git repository", SourceNotFound),
        ("fatal: transport 'file' not allowed", UnsafeContent),
        ("fatal: write error: No space left on device", SourceFailed),
        ("fatal: something new", SourceFailed),
        ("", SourceFailed),
    ],
)
def test_gits_last_words_become_an_error_of_their_kind(said: str, kind: type[R2DError]) -> None:
    error = git_failures.explain(said, "name")

    assert type(error) is kind
    assert error.where == "name"
