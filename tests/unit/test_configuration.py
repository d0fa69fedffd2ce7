import os
import subprocess
import sys
import tomllib
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r2d.configuration import (
    COMMAND_LINE,
    DEFAULT,
    KEYS,
    REPOSITORY_KEYS,
    Configuration,
    environment_origins,
    load,
    set_user_default,
    user_config_file,
)
from r2d.errors import InvalidConfiguration, R2DError, UnsafeContent, WrongUsage
from r2d.repository import Repository

MANUAL = Path(__file__).parents[2] / "docs" / "configuration.md"

Configured = Callable[..., Configuration]


@pytest.fixture
def configured(tmp_path: Path) -> Configured:
    """Load what these files say, written where each belongs."""

    def configure(
        *,
        user: str | None = None,
        repository: Mapping[str, str] | str | None = None,
        explicit: str | None = None,
        command_line: Mapping[str, object] | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> Configuration:
        def written(name: str, text: str) -> Path:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            return path

        files = {"r2d.toml": repository} if isinstance(repository, str) else (repository or {})
        for name, text in files.items():
            written(f"repository/{name}", text)
        return load(
            written("user/r2d.toml", user) if user is not None else tmp_path / "user" / "absent.toml",
            Repository(tmp_path / "repository"),
            written("explicit/deploy.toml", explicit) if explicit is not None else None,
            command_line or {},
            environ=environ or {},
        )

    return configure


# --- who counts


def test_without_any_file_the_defaults_are_in_force(configured: Configured) -> None:
    configuration = configured()
    assert configuration.base_image is None
    assert (configuration.user, configuration.uid) == ("jovyan", 1000)
    assert configuration.repo_dir == "/home/jovyan"
    assert configuration.engine == "auto"
    assert configuration.platform is None
    assert configuration.warnings == ()
    assert all(setting.origin.startswith(DEFAULT) for setting in configuration.settings)


def test_the_nearer_place_wins_and_is_remembered(configured: Configured, tmp_path: Path) -> None:
    said = {
        "user": 'base_image = "debian:user"\nplatform = "linux/arm64"\nkeep_git = true\n',
        "repository": '# ours\nbase_image = "debian:repository"\nplatform = "linux/amd64"\n',
        "explicit": 'base_image = "debian:explicit"\n',
    }
    origins = {
        "base_image": f"{tmp_path}/explicit/deploy.toml:1",
        "platform": "r2d.toml:3",
        "keep_git": f"{tmp_path}/user/r2d.toml:3",
        "user": DEFAULT,
    }
    configuration = configured(**said)
    for key, origin in origins.items():
        setting = configuration.setting(key)
        assert setting is not None
        assert setting.origin == origin
    over = configured(**said, command_line={"base_image": "debian:option", "platform": None})
    assert over.base_image == "debian:option"
    assert over.platform == "linux/amd64"
    assert over.setting("base_image").origin == COMMAND_LINE  # type: ignore[union-attr]


def test_tables_add_up_and_lists_replace(configured: Configured) -> None:
    configuration = configured(
        user='[labels]\na = "user"\nb = "user"\n[run]\nports = ["1:1"]\n',
        explicit='[labels]\nb = "explicit"\n[run]\nports = ["2:2", "3:3"]\n',
        command_line={"labels": {"c": "option"}},
    )
    assert configuration.labels == {"a": "user", "b": "explicit", "c": "option"}
    assert configuration.ports == ("2:2", "3:3")
    assert configuration.setting("labels.b").value == "explicit"  # type: ignore[union-attr]


def test_the_config_folder_of_the_repository_decides_which_file_counts(configured: Configured) -> None:
    configuration = configured(
        repository={"binder/r2d.toml": "keep_git = true\n", "r2d.toml": 'base_image = "debian:root"\n'}
    )
    assert configuration.keep_git
    assert configuration.base_image is None
    assert configuration.setting("keep_git").origin == "binder/r2d.toml:1"  # type: ignore[union-attr]
    assert [warning.fix for warning in configuration.warnings] == ["Move it to binder/r2d.toml."]


def test_the_home_of_another_user_holds_the_repository_unless_said_otherwise(configured: Configured) -> None:
    assert configured(command_line={"user": "ada"}).repo_dir == "/home/ada"
    assert configured(command_line={"user": "ada", "repo_dir": "/srv/repo"}).repo_dir == "/srv/repo"


def test_what_is_declared_of_one_base_is_not_believed_of_another(configured: Configured) -> None:
    user = 'base_image = "my/base"\n[base]\ndistribution = "debian"\nrelease = "trixie"\npython = "3.13"\n'
    assert configured(user=user).base.python == "3.13"
    assert configured(user=user, command_line={"base.python": "3.12"}).base.python == "3.12"
    assert configured(user=user, repository='base_image = "debian:bookworm"\n').base.distribution is None


def test_half_of_what_is_to_be_known_of_a_base_is_refused(configured: Configured) -> None:
    with pytest.raises(InvalidConfiguration, match="only a part"):
        configured(user='[base]\npython = "3.13"\n')


# --- what is refused


@pytest.mark.parametrize(
    "text",
    [
        'engine = "tcp://elsewhere:2375"',
        "uid = 1234",
        'user = "ada"',
        '[origins]\npackage_index = "https://packages.example/simple"',
        '[origins.registries]\n"docker.io" = "mirror.example"',
        '[origins]\nca_bundle = "ca.pem"',
        '[origins]\nhttp_proxy = "http://proxy.example:3128"',
        "[origins]\nin_image = true",
        '[run]\nvolumes = ["/:/host"]',
        '[run]\nports = ["0.0.0.0:80:80"]',
        '[labels]\n"r2d.key" = "x"',
        '[labels]\n"repo2docker.ref" = "x"',
    ],
)
def test_a_repository_never_decides_about_the_machine(configured: Configured, text: str) -> None:
    with pytest.raises(InvalidConfiguration, match="A repository may not set") as caught:
        configured(repository={"binder/r2d.toml": text})
    assert (caught.value.where or "").startswith("binder/r2d.toml:")
    assert "--config" in (caught.value.fix or "")


def test_a_repository_may_shape_its_image(configured: Configured) -> None:
    configuration = configured(
        repository='base_image = "debian:bookworm"\nrepo_dir = "/srv/repo"\nkeep_git = true\n'
        '[run.env]\nMODE = "demo"\n[labels]\n"org.example.team" = "a"\n'
    )
    assert configuration.env == {"MODE": "demo"}
    assert configuration.labels == {"org.example.team": "a"}


def test_a_repository_file_that_is_a_link_out_of_it_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret.toml").write_text('user = "x"\n')
    (tmp_path / "repository").mkdir()
    (tmp_path / "repository" / "r2d.toml").symlink_to(tmp_path / "secret.toml")
    with pytest.raises(UnsafeContent):
        load(None, Repository(tmp_path / "repository"), None, {})


@pytest.mark.parametrize(
    ("text", "line", "problem", "fix"),
    [
        ('\nbase_imgae = "x"', 2, "no setting base_imgae", "Did you mean base_image?"),
        (
            '[origins]\npacakge_index = "https://x"',
            2,
            "no setting origins.pacakge_index",
            "Did you mean origins.package_index?",
        ),
        ('ca_bundle = "x"', 1, "no setting ca_bundle", "Did you mean origins.ca_bundle?"),
        ('[lables]\na = "b"', 1, "no setting lables", "Did you mean labels?"),
        ("xyzzy = 1", 1, "no setting xyzzy", "The settings here are"),
        ("\nxyzzy.a.b = 1", 2, "no setting xyzzy", "The settings here are"),
        ("[base]\nxyzzy = 1", 2, "no setting base.xyzzy", "base.distribution, base.release, base.python."),
        ("run = { port = [] }", 1, "no setting run.port", "Did you mean run.ports?"),
        ('uid = "1000"', 1, "uid takes a whole number, and this is a text", "Write a number"),
        ("uid = true", 1, "uid takes a whole number, and this is true", "Write a number"),
        ("\n\nuid = 0", 3, "never runs as root", "Write a number"),
        ("uid = -1", 1, "cannot be -1", "Write a number"),
        ("uid = 4294967295", 1, "cannot be 4294967295", "Write a number"),
        ('user = "root"', 1, "never runs as root", "another name"),
        ('user = "Ada Lovelace"', 1, "user cannot be", "lower-case login name"),
        ("user = 3", 1, "takes a text, and this is the number 3", "lower-case login name"),
        ("[user]\na = 1", 1, "takes a text, and this is a table", "lower-case login name"),
        ('repo_dir = "repo"', 1, "repo_dir cannot be", "absolute path"),
        ('repo_dir = "/home/../etc"', 1, "repo_dir cannot be", "absolute path"),
        ('repo_dir = "/srv/"', 1, "repo_dir cannot be", "absolute path"),
        ('repo_dir = "/etc"', 1, "belongs to the system", "absolute path"),
        ('repo_dir = "/proc/x"', 1, "belongs to the system", "absolute path"),
        ('engine = "dokcer"', 1, "engine cannot be 'dokcer'", "Write auto, docker, podman"),
        ('platform = "amd64"', 1, "platform cannot be", "linux/amd64"),
        ('keep_git = "yes"', 1, "takes true or false, and this is a text", "without quotes"),
        ('base_image = "Debian trixie"', 1, "base_image cannot be", "debian:trixie"),
        ('labels = "x"', 1, "labels is a table, and this is a text", "[labels]"),
        ("[labels]\na = 1", 2, "labels.a takes a text", "in quotes"),
        ('[origins]\nhttp_proxy = "proxy:3128"', 2, "origins.http_proxy", "http://"),
        ('[origins]\nca_bundle = "~/ca.pem"', 2, "origins.ca_bundle cannot be", "path"),
        ('[origins]\nextra_package_indexes = "https://x"', 2, "takes a list of texts", "["),
        ('[origins.registries]\n"docker.io/x" = "mirror"', 2, "origins.registries.docker.io/x", "host"),
        ('[run]\nports = ["80-90:80-90"]', 2, "Ranges of ports", "one -p"),
        ('[run]\nvolumes = ["data"]', 2, "This is no volume", "SOURCE:TARGET"),
        ("run = { ports = 80 }", 1, "takes a list of texts", "8888"),
    ],
)
def test_a_mistake_is_named_with_its_line_and_what_would_be_right(
    configured: Configured, tmp_path: Path, text: str, line: int, problem: str, fix: str
) -> None:
    with pytest.raises(InvalidConfiguration) as caught:
        configured(user=text)
    assert problem in caught.value.problem
    assert caught.value.where == f"{tmp_path}/user/r2d.toml:{line}"
    assert fix in (caught.value.fix or "")


def test_a_file_that_is_no_toml_names_the_line(configured: Configured, tmp_path: Path) -> None:
    with pytest.raises(InvalidConfiguration, match="not TOML") as caught:
        configured(explicit='user = "ada"\nuid 1000\n')
    assert caught.value.where == f"{tmp_path}/explicit/deploy.toml:2"


@pytest.mark.parametrize("text", ["x = " + "[" * 50_000, "uid = " + "9" * 5_000])
def test_a_file_made_to_break_its_reader_is_refused(configured: Configured, text: str) -> None:
    with pytest.raises(InvalidConfiguration, match="not TOML"):
        configured(repository=text)


def test_a_file_that_is_no_text_names_the_line(tmp_path: Path) -> None:
    file = tmp_path / "r2d.toml"
    file.write_bytes(b"# fine\n# \xff\n")
    with pytest.raises(InvalidConfiguration, match="not UTF-8") as caught:
        load(None, None, file, {})
    assert caught.value.where == f"{file}:2"


def test_a_file_named_with_config_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfiguration, match="No such file"):
        load(None, None, tmp_path / "absent.toml", {})


def test_a_wrong_option_is_wrong_usage_and_not_a_wrong_file() -> None:
    with pytest.raises(WrongUsage, match="never runs as root") as caught:
        load(None, None, None, {"uid": 0})
    assert caught.value.where == COMMAND_LINE


def test_a_wrong_address_is_not_shown_because_it_may_hold_a_password(configured: Configured) -> None:
    with pytest.raises(InvalidConfiguration) as caught:
        configured(user='[origins]\nhttps_proxy = "ada:secret@proxy.example:3128"')
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "reference",
    [
        "debian",
        "debian:trixie",
        "docker.io/library/debian:trixie",
        "localhost:5000/team/base_image:1.0-rc",
        "[::1]:5000/base",
        "buildpack-deps:24.04@sha256:" + "a" * 64,
    ],
)
def test_base_images_are_named_as_engines_name_them(configured: Configured, reference: str) -> None:
    assert configured(command_line={"base_image": reference}).base_image == reference


@pytest.mark.parametrize("reference", ["", "a b", "debian:", "debian@sha256:12", "-x", "a//b", "x\nRUN evil"])
def test_what_is_no_image_reference_never_reaches_a_dockerfile(
    configured: Configured, reference: str
) -> None:
    with pytest.raises(WrongUsage):
        configured(command_line={"base_image": reference})


@given(st.dictionaries(st.text(), st.one_of(st.integers(), st.text(), st.booleans(), st.lists(st.text()))))
def test_whatever_a_document_holds_is_loaded_or_refused_as_ours(document: dict[str, object]) -> None:
    with suppress(R2DError):
        load(None, None, None, {"labels": document, "run.env": document, "origins.registries": document})


# --- paths in files


def test_paths_in_a_file_start_at_its_folder(configured: Configured, tmp_path: Path) -> None:
    configuration = configured(
        user='[origins]\nca_bundle = "certs/ca.pem"\n[run]\nvolumes = ["data:work:ro", "~/x:/x", "/y:/y"]\n'
    )
    assert configuration.origins.ca_bundle == tmp_path / "user/certs/ca.pem"
    assert configuration.volumes == (f"{tmp_path}/user/data:work:ro", "~/x:/x", "/y:/y")


# --- the network


def test_origins_are_handed_on_whole(configured: Configured) -> None:
    origins = configured(
        user="""
[origins]
package_index = "https://ada:secret@packages.example/simple"
extra_package_indexes = ["https://extra.example/simple"]
distribution_mirror = "http://mirror.example/debian"
standalone_pythons = "https://pythons.example"
https_proxy = "http://proxy.example:3128"
no_proxy = "localhost,.example.org"
in_image = true
[origins.registries]
"docker.io" = "mirror.example:5000/hub"
"""
    ).origins
    assert origins.package_index == "https://ada:secret@packages.example/simple"
    assert origins.extra_package_indexes == ("https://extra.example/simple",)
    assert origins.distribution_mirror == "http://mirror.example/debian"
    assert origins.standalone_pythons == "https://pythons.example"
    assert (origins.http_proxy, origins.https_proxy) == (None, "http://proxy.example:3128")
    assert origins.no_proxy == "localhost,.example.org"
    assert origins.in_image
    assert origins.registries == {"docker.io": "mirror.example:5000/hub"}


def test_what_is_shown_of_a_setting_holds_no_secret(configured: Configured) -> None:
    configuration = configured(
        user='[origins]\npackage_index = "https://ada:secret@packages.example/simple"\n'
        '[run.env]\nTOKEN = "secret"\n'
    )
    assert configuration.setting("origins.package_index").shown == "https://***@packages.example/simple"  # type: ignore[union-attr]
    assert not any("secret" in setting.shown for setting in configuration.settings)


def test_conventional_variables_count_less_than_a_file(configured: Configured, tmp_path: Path) -> None:
    bundle = tmp_path / "ca.pem"
    bundle.touch()
    environ = {
        "SSL_CERT_FILE": str(bundle),
        "HTTPS_PROXY": "proxy.example:3128",
        "PIP_INDEX_URL": "https://pip.example/simple",
        "UV_DEFAULT_INDEX": "https://uv.example/simple",
        "PIP_EXTRA_INDEX_URL": "https://a.example/simple https://b.example/simple",
        "no_proxy": "localhost",
    }
    configuration = configured(
        user='[origins]\npackage_index = "https://file.example/simple"\n', environ=environ
    )
    origins = configuration.origins
    assert origins.ca_bundle == bundle
    assert origins.https_proxy == "http://proxy.example:3128"
    assert origins.package_index == "https://file.example/simple"
    assert origins.extra_package_indexes == ("https://a.example/simple", "https://b.example/simple")
    assert origins.no_proxy == "localhost"
    assert configuration.setting("origins.https_proxy").origin == "HTTPS_PROXY in the environment"  # type: ignore[union-attr]
    assert configuration.warnings == ()


@pytest.mark.parametrize("address", ["http://127.0.0.1:3128", "localhost:3128", "http://a:b@[::1]:3128"])
def test_a_proxy_of_the_loopback_is_left_out_and_said(address: str) -> None:
    found = environment_origins({"http_proxy": address})
    assert found.settings == ()
    assert "a build container cannot reach" in found.warnings[0].problem
    assert "a:b" not in found.warnings[0].problem


def test_an_index_of_the_loopback_that_was_written_down_is_used_and_said(configured: Configured) -> None:
    configuration = configured(user='[origins]\npackage_index = "http://localhost:3141/simple"\n')
    assert configuration.origins.package_index == "http://localhost:3141/simple"
    assert "loopback" in configuration.warnings[0].problem


def test_folders_of_packages_are_no_origins() -> None:
    found = environment_origins(
        {"PIP_INDEX_URL": "file:///srv/simple", "UV_INDEX": "/srv/wheels named=https://a.example/simple"}
    )
    assert [(setting.key, setting.value) for setting in found.settings] == [
        ("origins.extra_package_indexes", ("https://a.example/simple",))
    ]


def test_a_conventional_bundle_that_is_no_file_is_passed_over_and_said(tmp_path: Path) -> None:
    for value in (str(tmp_path), str(tmp_path / "absent"), "relative.pem"):
        found = environment_origins({"REQUESTS_CA_BUNDLE": value})
        assert found.settings == ()
        assert found.warnings[0].problem.startswith("REQUESTS_CA_BUNDLE is not used")


def test_a_bundle_meant_for_r2d_alone_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfiguration, match="R2D_CA_BUNDLE"):
        environment_origins({"R2D_CA_BUNDLE": str(tmp_path / "absent")})


# --- writing


def test_a_default_is_written_where_there_was_no_file(tmp_path: Path) -> None:
    file = tmp_path / "new" / "r2d.toml"
    set_user_default(file, "base_image", "r2d-base:trixie")
    assert load(file, None, None, {}).base_image == "r2d-base:trixie"
    assert [path.name for path in file.parent.iterdir()] == ["r2d.toml"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            '# mine\nbase_image = "old" # why\n\n[labels]\nbase_image = "label"\n',
            '# mine\nbase_image = "new" # why\n\n[labels]\nbase_image = "label"\n',
        ),
        ("base_image='old'\r\nuid = 5\r\n", 'base_image="new"\r\nuid = 5\r\n'),
        ('[labels]\na = "b"', 'base_image = "new"\n[labels]\na = "b"'),
        ('"base_image" = "old"', '"base_image" = "new"'),
    ],
)
def test_the_rest_of_the_users_file_stays_as_it_is(tmp_path: Path, before: str, after: str) -> None:
    file = tmp_path / "r2d.toml"
    file.write_bytes(before.encode())
    set_user_default(file, "base_image", "new")
    assert file.read_bytes().decode() == after


@pytest.mark.parametrize(
    "before", ['base_image = """old"""\n', 'base_image = "o\\u006cd"\n', "user = '''\nbase_image = 1\n'''\n"]
)
def test_a_file_written_in_an_unusual_way_is_left_alone(tmp_path: Path, before: str) -> None:
    file = tmp_path / "r2d.toml"
    file.write_text(before)
    with pytest.raises(InvalidConfiguration, match="does not edit") as caught:
        set_user_default(file, "base_image", "new")
    assert caught.value.fix == 'Write base_image = "new" there yourself.'
    assert file.read_text() == before


def test_a_link_into_a_collection_of_dotfiles_stays_a_link(tmp_path: Path) -> None:
    real, link = tmp_path / "dotfiles.toml", tmp_path / "r2d.toml"
    real.write_text("keep_git = true\n")
    real.chmod(0o640)
    link.symlink_to(real)
    set_user_default(link, "uid", 1234)
    assert link.is_symlink()
    assert tomllib.loads(real.read_text()) == {"uid": 1234, "keep_git": True}
    assert real.stat().st_mode & 0o777 == 0o640


def test_a_value_the_key_does_not_take_is_never_written(tmp_path: Path) -> None:
    for key, value in (("base_image", "a b"), ("bas_image", "a"), ("origins.in_image", True)):
        with pytest.raises(WrongUsage):
            set_user_default(tmp_path / "r2d.toml", key, value)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InvalidConfiguration, match="cannot be written"):
        set_user_default(tmp_path / "file" / "r2d.toml", "uid", 5)


def test_the_users_file_is_in_the_users_config_folder() -> None:
    assert user_config_file({"XDG_CONFIG_HOME": "/cfg"}) == Path("/cfg/r2d/r2d.toml")
    assert user_config_file({}).parts[-2:] == ("r2d", "r2d.toml")


# --- promises


def test_the_manual_names_every_setting_and_who_may_set_it() -> None:
    rows = {
        cells[1].strip(" `"): cells[-2].strip()
        for line in MANUAL.read_text().splitlines()
        if line.startswith("| `") and len(cells := line.split("|")) == 7
    }
    assert set(rows) == {
        f"{key}.*" if key in ("labels", "run.env", "origins.registries") else key for key in KEYS
    }
    open_to_all = {key.removesuffix(".*") for key, repository in rows.items() if repository == "yes"}
    assert open_to_all == set(REPOSITORY_KEYS)


def test_importing_the_configuration_imports_nothing_it_may_not_need() -> None:
    code = (
        "import sys, r2d.configuration;"
        "print(sorted({'tomllib', 'platformdirs', 'difflib', 'tempfile'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", code],
        env={"PYTHONPATH": os.pathsep.join([str(MANUAL.parents[1])])},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"
