"""From an engine's words to an error of ours: what happened, where, and the way out."""

import re

from r2d.engines.steps import FailedStep
from r2d.errors import (
    BaseImageUnavailable,
    BuildFailed,
    ContainerNotStarted,
    EngineDied,
    EngineFailed,
    EngineOutOfDisk,
    InvalidImageName,
    R2DError,
)

BASE_IMAGE_FIX = (
    "Make a base from the package mirror: r2d base create debian:trixie --default, "
    "or name one with --base-image."
)
_OUT_OF_DISK = re.compile(r"no space left on device|disk quota exceeded", re.I)
_STOPPED = re.compile(r"graceful_stop|code = (?:Unavailable|Canceled)|^context canceled$", re.I)
_EXIT_CODE = re.compile(r"(?:exit code:?|exit status|non-zero code:) (\d+)", re.I)
_KILLED = 137  # 128 + SIGKILL: what is left of a process that the kernel took to regain memory
_NOT_PULLED = re.compile(
    r"pull access denied|manifest(?: for \S+)? (?:unknown|not found)|no such host|dial tcp|connection refused"
    r"|failed to resolve (?:source|reference)|i/o timeout|TLS handshake timeout|pinging container registry"
    r"|did not resolve to an alias|name unknown|unauthorized|authentication required|x509:|no matching manifest"
    r"|requested access to the resource is denied|reading manifest|no such image|toomanyrequests"
    r"|temporary failure in name resolution|not found: does not exist|network is unreachable",
    re.I,
)
_FROM_STEP = re.compile(r"(?:FROM|\[internal\] load metadata for) (?:--platform=\S+ )?(?P<image>\S+)", re.I)
_SOURCE = re.compile(r"docker://(?P<image>\S+?):? (?=pinging|reading|Error|unable)")
# What the layers of an engine put before the reason.
_PREFIXES = re.compile(
    r"^(?:failed to solve(?: with frontend dockerfile\.v0)?|failed to create LLB definition|rpc error: code = \w+ "
    r"desc =|failed to compute cache key|Error response from daemon|building at STEP \".*?\"(?=:)|error)(?::\s*|\s+)",
    re.I,
)
_ERROR_LINE = re.compile(r"(?:error|fatal|E)\b:", re.I)
_PORT_TAKEN = re.compile(r"port is already allocated|address already in use", re.I)
_NO_COMMAND = re.compile(
    r'exec:? ".*": .*(?:not found|no such file or directory|permission denied)|exec format error'
    r"|attempted to invoke a command that was not found|executable file .*not found",
    re.I,
)
_NO_NETWORK_DEVICE = re.compile(r"/dev/net/tun", re.I)


def reason_in(message: str) -> str:
    """The reason at the end of a message that each layer of the engine prefixed."""
    text = message.split(" &imagebuilder.Step{")[0].strip()
    while (shorter := _PREFIXES.sub("", text)) != text:
        text = shorter
    return text


def build_failure(message: str, step: FailedStep | None) -> R2DError:
    """The error for a build that the engine gave up with this message."""
    text = message if step is None else f"{message}\n{step.problem}"
    where = step.name if step else None
    if _OUT_OF_DISK.search(text):
        return out_of_disk()
    if _STOPPED.search(message):
        return stopped(reason_in(message))
    if step and (found := _EXIT_CODE.search(step.problem) or _EXIT_CODE.search(message)):
        return _step_failure(step, int(found[1]))
    if image := _missing_base(text, step):
        return image_unavailable(image.removeprefix("docker.io/library/"), reason_in(message))
    return BuildFailed(
        reason_in(message),
        where=where,
        fix="Read the Dockerfile that r2d made: `r2d dockerfile`. The message above is the engine's own.",
    )


def image_unavailable(image: str, reason: str) -> BaseImageUnavailable:
    """The error for an image that is not in the engine and cannot be fetched."""
    return BaseImageUnavailable(
        f"The image {image} is not in the engine and cannot be pulled: {reason}", fix=BASE_IMAGE_FIX
    )


def stopped(reason: str) -> EngineDied:
    """The error for an engine that ended in the middle of the work."""
    return EngineDied(
        f"The engine stopped in the middle of the work: {reason}",
        fix="Look whether it still runs (`r2d doctor`), then start again: finished steps are cached.",
    )


def out_of_disk() -> EngineOutOfDisk:
    """The error for an engine whose disk is full."""
    return EngineOutOfDisk(
        "The engine has no space left on its disk.",
        fix="Remove images you no longer need (`docker image prune`, or `podman image prune`), then start again.",
    )


def start_failure(message: str, image: str) -> R2DError:
    """The error for a container that the engine did not start."""
    reason = reason_in(message)
    if _OUT_OF_DISK.search(message):
        return out_of_disk()
    if _PORT_TAKEN.search(message):
        return ContainerNotStarted(
            f"A port the container should be reached at is taken: {reason}",
            fix="Choose another port with --publish, or name none: the engine then picks a free one.",
        )
    if re.search(r"no such image|image not known|failed to find image|unable to find", message, re.I):
        return ContainerNotStarted(
            f"The engine holds no image {image}.",
            fix="Build it first: `r2d build`.",
        )
    if _NO_NETWORK_DEVICE.search(message):
        return ContainerNotStarted(
            f"The network of a container without root needs /dev/net/tun: {reason}",
            fix="sudo chmod 666 /dev/net/tun",
        )
    if _NO_COMMAND.search(message):
        return ContainerNotStarted(
            f"The command cannot be started in the image {image}: {reason}",
            fix="Check that the command exists in the image and is executable.",
        )
    return ContainerNotStarted(f"The container could not be started: {reason}", fix="Run `r2d doctor`.")


def engine_failure(message: str, *, doing: str) -> R2DError:
    """The error for a small request that the engine did not fulfil."""
    if _OUT_OF_DISK.search(message):
        return out_of_disk()
    if re.search(r"invalid reference format|invalid tag|invalid image name|must be lower", message, re.I):
        return InvalidImageName(
            f"The engine could not {doing}: {reason_in(message)}", fix="Use another name."
        )
    return EngineFailed(f"The engine could not {doing}: {reason_in(message)}", fix="Run `r2d doctor`.")


def _telling(tail: tuple[str, ...]) -> str:
    """The line that says most: the last that calls itself an error, else the last of all."""
    lines = [line.strip() for line in tail if line.strip()] or [""]
    return next((line for line in reversed(lines) if _ERROR_LINE.match(line)), lines[-1])


def _step_failure(step: FailedStep, code: int) -> BuildFailed:
    last_words = f" Its last words: {_telling(step.tail)}" if step.tail else ""
    # A name in words says what failed; the instruction would only repeat it at length.
    what = f"`{_shortened(step.instruction)}`" if step.name == step.instruction else "This step"
    if code == _KILLED:
        return BuildFailed(
            f"{what} was killed (exit code {code}): the memory ran out.{last_words}",
            where=step.name,
            fix="Give the engine more memory, or ask for fewer or smaller packages.",
        )
    return BuildFailed(
        f"{what} ended with exit code {code}.{last_words}",
        where=step.name,
        fix="The step's own output above says why: change the file of the repository that asks for it.",
    )


def _missing_base(text: str, step: FailedStep | None) -> str | None:
    if not _NOT_PULLED.search(text):
        return None
    if step and (found := _FROM_STEP.search(step.problem) or _FROM_STEP.match(step.instruction)):
        return found["image"]
    if found := _SOURCE.search(text):
        return found["image"]
    return None


def _shortened(name: str) -> str:
    return name if len(name) <= 100 else f"{name[:99]}…"
