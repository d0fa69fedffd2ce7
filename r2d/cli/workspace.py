"""From what the user typed to what the pipeline takes: settings, a report, a checkout, a target, an engine."""

import os
import platform
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from r2d.errors import R2DError
from r2d.events import Emit, Event, Failed, Warned
from r2d.plan import Base, Target

if TYPE_CHECKING:
    from r2d.configuration import Configuration
    from r2d.engines.protocol import Engine, Image
    from r2d.pipeline import Recipe, Wishes
    from r2d.plan import Plan
    from r2d.sources.protocol import Checkout, Network

Options = Mapping[str, Any]


@dataclass(frozen=True)
class Workspace:
    """A checkout and the settings that are in force for it."""

    checkout: "Checkout"
    settings: "Configuration"
    emit: Emit

    def target(self, engine: "Engine | None" = None) -> Target:
        """What the plan is made for. An engine is asked only about a base image nobody else knows."""
        settings = self.settings
        return Target(
            base=self._base(engine),
            user=settings.user,
            uid=settings.uid,
            repo_dir=settings.repo_dir,
            platform=settings.platform or (engine.facts.platform if engine else _own_platform()),
        )

    def _base(self, engine: "Engine | None") -> Base:
        from r2d import bases

        declared, name = self.settings.base, self.settings.base_image
        if name is None:
            return bases.default_base()
        if declared.distribution and declared.release:
            return Base(
                name, declared.distribution, declared.release, declared.python, "declared in r2d.toml"
            )
        if known := bases.known_base(name):
            return known
        if engine:
            return bases.base_from_engine(name, engine, self.emit, self.settings.origins)
        with open_engine(self.settings) as asked:
            return bases.base_from_engine(name, asked, self.emit, self.settings.origins)

    def plan(self, target: Target) -> "Plan":
        """What is to be done for this target."""
        from r2d.pipeline import planned

        return planned(self.checkout, target, self.settings.origins, self.emit)

    def recipe(self, target: Target, options: Options) -> "Recipe":
        """Everything a build for this target reads."""
        from r2d.pipeline import recipe
        from r2d.tools import fetching_environment, tool_for

        told = fetching_environment(self.settings.origins, os.environ)
        tool = partial(tool_for, platform=target.platform, cache=_user_cache() / "tools", environment=told)
        plan = self.plan(target)
        return recipe(self.checkout, plan, target, self._wishes(options), self.settings.origins, tool)

    def image(self, engine: "Engine", options: Options) -> "Image":
        """The image, built if it is not there."""
        from r2d.pipeline import built

        target = self.target(engine)
        made = self.recipe(target, options)
        return built(engine, self.checkout, made, self._wishes(options), target, self.emit)

    def _wishes(self, options: Options) -> "Wishes":
        from r2d.image_name import validate_image_name
        from r2d.pipeline import Wishes
        from r2d.run_options import parse_labels

        name = options["image_name"]
        if name:
            validate_image_name(name)
        labels = dict(self.settings.labels) | dict(parse_labels(options["labels"]))
        return Wishes(
            name=name,
            labels=tuple(labels.items()),
            rebuild=options["rebuild"],
            keep_git=self.settings.keep_git,
            host_network=self.settings.host_network,
        )


def base_name(settings: "Configuration") -> str:
    """The base image that is meant: the one that is set, else the one r2d is pinned to."""
    from r2d import bases

    return settings.base_image or bases.default_base().reference


def _own_platform() -> str:
    return "linux/arm64" if platform.machine() in ("aarch64", "arm64") else "linux/amd64"


@contextmanager
def reporting(options: Options, *, only_problems: bool = False) -> Iterator[Emit]:
    """A report on standard error; an error that passes through is told by it, once.

    `only_problems` is for commands whose result is the plan itself, which the other events would only repeat.
    """
    from r2d.report import open_report

    stream = sys.stderr
    is_terminal = stream.isatty() and os.environ.get("TERM") != "dumb"
    with open_report(
        "plain" if only_problems else options["progress"],
        stream=stream,
        is_terminal=is_terminal,
        width=None,
        color=is_terminal and "NO_COLOR" not in os.environ,
        verbose=options["verbose"],
        log=options["log"],
        quiet=options["quiet"],
    ) as report:
        try:
            yield partial(_problems, report.emit) if only_problems else report.emit
        except R2DError as error:
            if only_problems:
                raise  # told in one line where the program ends
            report.emit(Failed(error.problem, error.where, error.fix, error.exit_code))
            error.told = True
            raise


def _problems(emit: Emit, event: Event) -> None:
    if isinstance(event, Warned):
        emit(event)


@contextmanager
def workspace(options: Options, emit: Emit) -> Iterator[Workspace]:
    """The repository's files, for as long as the block runs."""
    from r2d.sources import checkout, recognise, within

    settings = load_settings(options, None)
    source = recognise(
        options["repo"], ref=options["ref"], working_folder=Path.cwd(), subdir=options["subdir"]
    )
    with checkout(
        source, temporary_root=None, keep=options["no_clean"], network=network(settings), emit=emit
    ) as fetched:
        found = within(fetched, options["subdir"]) if options["subdir"] else fetched
        settings = load_settings(options, found.folder)
        for warning in settings.warnings:
            emit(warning)
        yield Workspace(found, settings, emit)


def load_settings(options: Options, repository: Path | None) -> "Configuration":
    """The settings in force, with the repository's own when its files are there."""
    from r2d.configuration import load, user_config_file
    from r2d.repository import Repository

    return load(
        user_config_file(os.environ),
        Repository(repository) if repository else None,
        options.get("config"),
        {
            "base_image": options.get("base_image"),
            "platform": options.get("platform"),
            "user": options.get("user_name"),
            "uid": options.get("user_id"),
            "repo_dir": options.get("target_repo_dir"),
            "keep_git": options.get("keep_git"),
            "host_network": options.get("host_network"),
            "engine": options.get("engine"),
        },
        environ=os.environ,
    )


def open_engine(settings: "Configuration") -> "Engine":
    """The engine the settings name, or the first that answers."""
    from r2d.engines.find import open_engine as found

    return found(None if settings.engine == "auto" else settings.engine, environ=os.environ)


def warn(emit: Emit, warnings: tuple[Warned, ...]) -> None:
    for warning in warnings:
        emit(warning)


def _user_cache() -> Path:
    import platformdirs

    return Path(platformdirs.user_cache_dir("r2d", appauthor=False))


def network(settings: "Configuration") -> "Network":
    """What fetching may use of the outside."""
    from r2d.sources.protocol import Network

    origins = settings.origins
    proxies = {
        "http_proxy": origins.http_proxy,
        "https_proxy": origins.https_proxy,
        "no_proxy": origins.no_proxy,
    }
    return Network(
        environment=dict(os.environ) | {name: value for name, value in proxies.items() if value},
        software_heritage_token=os.environ.get("SWH_TOKEN"),
        ca_bundle=settings.origins.ca_bundle,
        git_credentials=os.environ.get("GIT_CREDENTIAL_ENV"),
    )
