"""From the options of `r2d run` to a container's request."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from r2d.cli.workspace import Workspace, warn
from r2d.engines.protocol import Image, RunRequest, Volume
from r2d.errors import WrongUsage
from r2d.run_options import Variables, parse_env, parse_ports, parse_volumes, read_env_file, together
from r2d.sources.protocol import Checkout


def container_request(image: Image, work: Workspace, given: dict[str, Any], *, remote: bool) -> RunRequest:
    """The container the user asks for; the command line comes after, and so over, what files say."""
    variables = together(
        Variables(tuple(work.settings.env.items())),
        *(read_env_file(file, host=os.environ) for file in given["env_file"]),
        parse_env(given["env"], host=os.environ),
    )
    warn(work.emit, variables.warnings)
    volumes = parse_volumes(
        given["volume"] or work.settings.volumes,
        working_folder=Path.cwd(),
        home=Path.home(),
        image_working_dir=image.working_dir,
        must_exist=not remote,
    )
    if given["editable"]:
        volumes = (_the_folder_itself(image, work.checkout, volumes), *volumes)
    wanted = RunRequest(
        image=image.id,
        command=given["cmd"],
        env=variables.values,
        ports=parse_ports(given["publish"] or work.settings.ports),
        publish_all=given["publish_all"],
        volumes=volumes,
        uid=work.settings.uid,
    )
    return replace(wanted, command=wanted.command[1:]) if wanted.command[:1] == ("--",) else wanted


def check_editable(checkout: Checkout) -> None:
    """Only a folder of the user's own can be edited from inside; said before anything is built."""
    if checkout.temporary:
        raise WrongUsage(
            "--editable mounts the folder itself, and this is no folder of yours.",
            where=checkout.source,
            fix="Fetch it first: r2d fetch REPO FOLDER; then r2d --editable FOLDER.",
        )


def _the_folder_itself(image: Image, checkout: Checkout, others: tuple[Volume, ...]) -> Volume:
    if any(volume.target == image.working_dir for volume in others):
        raise WrongUsage(
            f"--editable and a volume both want to be at {image.working_dir}.", fix="Leave one of them out."
        )
    return Volume(str(checkout.folder), image.working_dir)
