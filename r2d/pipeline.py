"""The whole story: a checkout becomes findings, a plan, a Dockerfile with its context, an image, a container."""

import hashlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from r2d import chain
from r2d.context import context_tar, tree_digest, write_folder
from r2d.errors import R2DError
from r2d.events import BuildStarted, Decided, Detected, Emit, IgnoredFile, ImageBuilt, ImageReused
from r2d.ignore_rules import IgnoreRules
from r2d.image_name import image_name_for
from r2d.origins import Origins
from r2d.plan import Plan, Target
from r2d.repository import Repository
from r2d.sources.protocol import Checkout

if TYPE_CHECKING:
    from r2d.dockerfile import Rendered
    from r2d.engines.protocol import Engine, Image

KEY_LABEL = "r2d.key"


@dataclass(frozen=True)
class Wishes:
    """What the user asks of an image beyond the repository and the target."""

    name: str | None = None
    labels: tuple[tuple[str, str], ...] = ()
    rebuild: bool = False
    keep_git: bool = False
    host_network: bool = False


@dataclass(frozen=True)
class Recipe:
    """Everything a build reads: a Dockerfile, our files, the tools, the repository."""

    rendered: "Rendered"
    base_image: str
    tree: Path
    rules: IgnoreRules
    tools: tuple[tuple[str, Path], ...]

    def context(self, emit: Emit) -> Callable[[], Iterator[bytes]]:
        """The build context as a stream; the same bytes for the same content."""
        return lambda: context_tar(
            self.rendered.dockerfile, self.rendered.files, self.tree, self.rules, self.tools, emit=emit
        )

    def key(self) -> str:
        """A hash of all that shapes the image and is handed to the engine."""
        from r2d.dockerfile import NETWORK

        parts = [self.rendered.dockerfile, tree_digest(self.tree, self.rules)]
        # How the network is reached shapes nothing: the same image comes from behind any firewall.
        own = [file for file in self.rendered.files if not file.path.startswith(f"{NETWORK}/")]
        parts += [f"{file.path} {file.digest} {file.executable}" for file in own]
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()

    def write(self, folder: Path, emit: Emit) -> None:
        """A folder that plain `docker build` and `podman build` accept."""
        write_folder(
            folder,
            self.rendered.dockerfile,
            self.rendered.files,
            self.tree,
            self.rules,
            self.tools,
            emit=emit,
        )


def understood(checkout: Checkout, target: Target, origins: Origins) -> tuple[chain.Verdict, Plan]:
    """What is found in the files of a checkout, and what that means for a target."""
    verdict = chain.verdict(Repository(checkout.folder))
    return verdict, verdict.plan(target) + origins.kept()


def planned(checkout: Checkout, target: Target, origins: Origins, emit: Emit) -> Plan:
    """The plan for a checkout, told as it is made."""
    verdict, plan = understood(checkout, target, origins)
    for found in verdict.found:
        emit(Detected(found.buildpack, found.finding.because))
    for choice in plan.chosen:
        emit(Decided(choice.what, choice.value, choice.because))
    for ignored in plan.ignored:
        emit(IgnoredFile(ignored.file, ignored.because))
    return plan


def recipe(
    checkout: Checkout,
    plan: Plan,
    target: Target,
    wishes: Wishes,
    origins: Origins,
    tool: Callable[[str], Path],
) -> Recipe:
    """The Dockerfile of a plan, with everything it reads."""
    from r2d.dockerfile import FILES, render

    base_image = origins.image(target.base.reference)
    rendered = render(
        plan,
        target,
        base_image=base_image,
        labels=_labels(checkout, plan, target, wishes),
        network=origins.files(),
        versions={"uv": f"{version('uv')}-{target.platform.replace('/', '-')}"},
    )
    tools = tuple((f"{FILES}/bin/{name}", tool(name)) for name in rendered.tools)
    return Recipe(
        rendered, base_image, checkout.folder, ignore_rules(checkout, keep_git=wishes.keep_git), tools
    )


def built(
    engine: "Engine", checkout: Checkout, made: Recipe, wishes: Wishes, target: Target, emit: Emit
) -> "Image":
    """The image of a recipe: the one that is there, when it was made of exactly this, else a new one."""
    from r2d.engines.protocol import BuildRequest

    key = hashlib.sha256(
        f"{made.key()} {target.platform} {_base_id(engine, made, emit)}".encode()
    ).hexdigest()
    name = wishes.name or default_name(checkout, key)
    before = engine.find(name)
    if before and before.labels.get(KEY_LABEL) == key and not wishes.rebuild:
        emit(ImageReused(name, before.id))
        return before
    emit(BuildStarted(name, engine.facts.name))
    began = time.monotonic()
    image = engine.build(
        BuildRequest(
            tag=name,
            context=made.context(emit),
            labels=((KEY_LABEL, key),),
            platform=target.platform,
            no_cache=wishes.rebuild,
            host_network=wishes.host_network,
            step_name=made.rendered.title,
        ),
        emit,
    )
    emit(ImageBuilt(name, image.id, image.size, time.monotonic() - began))
    if before and before.id != image.id and not wishes.name:
        # The name was ours, so is what it meant until now. A container may still need it, or the user, who gave
        # it another name: taking an image away by its id would take that name too.
        with suppress(R2DError):
            left = engine.find(before.id)
            if left and not left.names:
                engine.remove_image(before.id)
    return image


def _base_id(engine: "Engine", made: Recipe, emit: Emit) -> str:
    """What the base image is right now. A name with a digest says that itself, and the build may fetch it."""
    if "@" in made.base_image:
        return ""
    return (engine.find(made.base_image) or engine.pull(made.base_image, emit)).id


def default_name(checkout: Checkout, key: str) -> str:
    """The name an image gets when nobody gives one; a folder keeps its name from build to build."""
    if checkout.content:
        return image_name_for(checkout.source, subdir=checkout.subdir, content=checkout.content, key=key)
    folder = os.path.realpath(checkout.folder)
    return image_name_for(
        checkout.folder.name, content=None, key=hashlib.sha256(os.fsencode(folder)).hexdigest()
    )


def ignore_rules(checkout: Checkout, *, keep_git: bool) -> IgnoreRules:
    """What of the checkout stays out of the image: `.git`, and what the ignore files in force name."""
    repository = Repository(checkout.folder)
    files = [repository.first(name) for name in (".dockerignore", ".containerignore")]
    texts = [repository.text(file) for file in files if file]
    # Whoever ignores everything but the notebooks still wants what runs at the end and at the start.
    run = [file for name in ("postBuild", "start") if (file := repository.first(name))]
    texts.append("".join(f"!{file}\n" for file in run))
    return IgnoreRules.parse(texts, always=() if keep_git else ("**/.git", "**/.hg"))


def _labels(checkout: Checkout, plan: Plan, target: Target, wishes: Wishes) -> tuple[tuple[str, str], ...]:
    from r2d import __version__

    ours = {
        "repo2docker.repo": checkout.source,
        "repo2docker.ref": checkout.ref or "None",
        "repo2docker.version": __version__,
        "r2d.base": target.base.reference,
    }
    ours |= {f"r2d.chosen.{choice.what}": f"{choice.value}: {choice.because}" for choice in plan.chosen}
    return tuple(sorted((ours | dict(wishes.labels)).items()))
