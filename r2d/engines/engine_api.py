"""Any engine that speaks the Docker Engine API: Docker with BuildKit, and Podman's service."""

import codecs
import json
import re
import shutil
import time
from base64 import b64decode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from r2d.engines.buildkit_trace import read_status
from r2d.engines.complaints import (
    build_failure,
    engine_failure,
    image_unavailable,
    out_of_disk,
    start_failure,
    stopped,
)
from r2d.engines.protocol import BuildRequest, Container, EngineFacts, Image, RunRequest
from r2d.engines.steps import BuildkitSteps, ClassicSteps
from r2d.engines.wire import Answer, Stream, TlsFiles, Wire
from r2d.errors import BuildFailed, EngineTooOld, InvalidImageName
from r2d.events import ContainerOutput, Emit, Transferred, Warned

RUN_LABEL = ("r2d.run", "1")
# Of 20.10, the first whose own Dockerfile reader knows `RUN --mount` and `COPY --chmod`.
_OLDEST_DOCKER_API = (1, 41)
_OLDEST_PODMAN = (4,)
_OLDEST_PODMAN_THAT_MAPS_USERS = (4, 3)
_IMAGE_UID = 1000
_ENDED = {"exited", "stopped", "dead", "removing"}
# How often Podman's log is read: a fifth of the time at most, however long the log has become.
_LOOK_SECONDS = 0.2
_LOOK_SHARE = 4
_CONTEXT_REPORT_BYTES = 4 * 1024 * 1024


class EngineApi:
    """An engine behind the Docker Engine API."""

    facts: EngineFacts

    def __init__(
        self,
        address: str,
        *,
        tls: TlsFiles | None = None,
        config_folder: Path | None = None,
        on_close: Callable[[], None] = lambda: None,
        on_broken_build: Callable[[], None] = lambda: None,
    ) -> None:
        """Connect; `config_folder` holds the user's registry credentials, `on_close` runs when all is closed."""
        self._wire = Wire(address, tls=tls, config_folder=config_folder)
        self._on_close = on_close
        self._on_broken_build = on_broken_build
        version = self._expect(self._wire.ask("GET", "/version"), doing="tell its version")
        self._is_podman = any("Podman" in part.get("Name", "") for part in version.get("Components") or ())
        self._check_age(version)
        self._maps_users = self._is_podman and _numbers(version["Version"]) >= _OLDEST_PODMAN_THAT_MAPS_USERS
        about = self._expect(self._wire.ask("GET", "/info"), doing="describe itself")
        self._storage = str(about.get("DockerRootDir") or "")
        self.facts = EngineFacts(
            name=f"{'Podman' if self._is_podman else 'Docker'} {version['Version']}",
            address=address,
            builder="classic" if self._is_podman else "buildkit",
            platform=f"{version['Os']}/{version['Arch']}",
            host=_remote_host(address),
            rootless=bool(about.get("Rootless"))
            or any("name=rootless" in option for option in about.get("SecurityOptions") or ()),
        )

    def find(self, name: str) -> Image | None:
        """The image of this name or id in the engine's own store; no network."""
        for candidate in self._candidates(name):
            answer = self._wire.ask("GET", f"/images/{candidate}/json")
            if answer.status == 404:
                continue
            return _image(self._expect(answer, doing=f"look up the image {name}"))
        return None

    def pull(self, name: str, emit: Emit) -> Image:
        """Fetch an image from its registry."""
        repository, tag = split_name(name)
        params = {"fromImage": repository, "tag": tag}
        headers = _registry_headers(self._wire.credentials_for(repository))
        with self._wire.stream("POST", "/images/create", params=params, headers=headers) as stream:
            if refusal := stream.refusal():
                raise _pull_failure(name, refusal.message)
            for record in stream.records():
                if error := record.get("error"):
                    raise _pull_failure(name, str(error))
                _emit_transfer(record, emit)
        image = self.find(name)
        if image is None:
            raise image_unavailable(name, "the engine ended the transfer without it")
        return image

    def load(
        self,
        tag: str,
        rootfs: Callable[[], Iterator[bytes]],
        *,
        command: tuple[str, ...],
        labels: tuple[tuple[str, str], ...] = (),
    ) -> Image:
        """Make an image of one layer from the tar of a root filesystem."""
        changes = [f"CMD {json.dumps(list(command))}"] if command else []
        changes += [self._label_change(name, value) for name, value in labels]
        params = {"fromSrc": "-", "changes": changes}
        with self._wire.stream("POST", "/images/create", params=params, body=rootfs()) as stream:
            if refusal := stream.refusal():
                raise engine_failure(refusal.message, doing=f"load {tag}")
            image_id = ""
            for record in stream.records():
                if error := record.get("error"):
                    raise engine_failure(str(error), doing=f"load {tag}")
                image_id = str(record.get("status", image_id))
        # Named in a second step: Podman 4 does not heed the tag of an import.
        self.tag(image_id, tag)
        return self._image_named(tag)

    def build(self, request: BuildRequest, emit: Emit) -> Image:
        """Build; the image is there under `request.tag`, or an error was raised and no half-made image has the tag."""
        body = _reported(request.context(), emit)
        headers = {"Content-Type": "application/x-tar"}
        params = self._build_params(request)
        try:
            # Leaving the block in any way closes the connection, and with it the engine gives the build up.
            with self._wire.stream("POST", "/build", params=params, body=body, headers=headers) as stream:
                if refusal := stream.refusal():
                    raise build_failure(refusal.message, None)
                follow = self._follow_classic if self._is_podman else self._follow_buildkit
                follow(stream, request, emit)
        except BuildFailed:
            raise
        except BaseException:
            self._on_broken_build()
            raise
        return self._image_named(request.tag)

    def run(self, request: RunRequest) -> Container:
        """Start a container."""
        answer = self._wire.ask("POST", "/containers/create", body=self._container_config(request))
        if not answer.ok:
            raise start_failure(answer.message, request.image)
        container = ApiContainer(
            self._wire, str(answer.content["Id"]), host=self.facts.host, is_podman=self._is_podman
        )
        try:
            answer = self._wire.ask("POST", f"/containers/{container.id}/start")
            if not answer.ok:
                raise start_failure(answer.message, request.image)
        except BaseException:
            container.remove()
            raise
        return container

    def tag(self, image: str, name: str) -> None:
        """Give an image a further name."""
        repository, tag = split_name(name)
        found = self.find(image)
        target = found.id if found else image
        answer = self._wire.ask("POST", f"/images/{target}/tag", params={"repo": repository, "tag": tag})
        self._expect(answer, doing=f"name the image {image} {name}")

    def remove_image(self, name: str) -> None:
        """Take a name, and its image if that was the last one, out of the store; no error when it is gone."""
        for candidate in self._candidates(name):
            answer = self._wire.ask("DELETE", f"/images/{candidate}", seconds=None)
            if answer.status != 404:
                self._expect(answer, doing=f"remove the image {name}")
                return

    def images(self, label: str) -> tuple[Image, ...]:
        """Images that carry this label."""
        filters = json.dumps({"label": [label]})
        listed = self._expect(
            self._wire.ask("GET", "/images/json", params={"filters": filters}), doing="list its images"
        )
        found = (self.find(str(summary["Id"])) for summary in listed or ())
        return tuple(image for image in found if image is not None)

    def free_bytes(self) -> int | None:
        """The room left where the engine keeps its images; None when that is not a folder of this machine."""
        if self.facts.host or not Path(self._storage).is_dir():
            return None
        return shutil.disk_usage(self._storage).free

    def close(self) -> None:
        """Let go of connections, and of a service that was started for this command."""
        self._wire.close()
        self._on_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def _check_age(self, version: dict[str, Any]) -> None:
        if version["Os"] != "linux":
            raise EngineTooOld(
                f"The engine at {self._wire.address} builds images for {version['Os']}, not for Linux.",
                fix="Switch it to Linux containers.",
            )
        if self._is_podman and _numbers(version["Version"]) < _OLDEST_PODMAN:
            raise EngineTooOld(
                f"Podman {version['Version']} is too old: a build needs version 4 or newer.",
                fix="Install a newer Podman, or use Docker.",
            )
        if not self._is_podman and self._wire.api_version < _OLDEST_DOCKER_API:
            raise EngineTooOld(
                f"Docker {version['Version']} is too old: a build needs version 20.10 or newer.",
                fix="Install a newer Docker, or Podman 4 or newer.",
            )

    def _expect(self, answer: Answer, *, doing: str) -> Any:
        if not answer.ok:
            raise engine_failure(answer.message, doing=doing)
        return answer.content

    def _candidates(self, name: str) -> tuple[str, ...]:
        """Podman's service takes a short name for one of Docker Hub; what its own command line built is localhost/…"""
        if self._is_podman and not _names_a_registry(name):
            return (name, f"localhost/{name}")
        return (name,)

    def _image_named(self, name: str) -> Image:
        image = self.find(name)
        if image is None:
            raise stopped(f"the image {name} is not there after all")
        return image

    def _label_change(self, name: str, value: str) -> str:
        if "\n" in name + value:
            raise InvalidImageName(
                f"The label {name} has a line break in it.", fix="Take the line break out."
            )
        if self._is_podman:
            # It strips the outer quotes and takes the rest as it is.
            return f'LABEL "{name}"="{value}"'
        return f"LABEL {_quoted(name)}={_quoted(value)}"

    def _build_params(self, request: BuildRequest) -> dict[str, str]:
        return {
            "version": "2",
            "t": request.tag,
            "dockerfile": request.dockerfile,
            "buildargs": json.dumps(dict(request.build_args)) if request.build_args else "",
            "labels": json.dumps(dict(request.labels)) if request.labels else "",
            "platform": request.platform or "",
            "networkmode": "host" if request.host_network else "",
            "nocache": "1" if request.no_cache else "",
            "rm": "1",
            "forcerm": "1",
        }

    def _follow_buildkit(self, stream: Stream, request: BuildRequest, emit: Emit) -> None:
        steps = BuildkitSteps(emit, request.step_name)
        is_built = False
        for record in stream.records():
            if error := record.get("error"):
                steps.give_up()
                raise build_failure(str(error), steps.failed)
            if record.get("id") == "moby.buildkit.trace":
                _take_trace(record, steps, emit)
            is_built = is_built or record.get("id") == "moby.image.id"
        if not is_built:
            raise stopped("its answer ended before the image was made")
        steps.end()

    def _follow_classic(self, stream: Stream, request: BuildRequest, emit: Emit) -> None:
        steps = ClassicSteps(emit, request.step_name)
        is_built = False
        for record in stream.records():
            if error := record.get("error"):
                steps.fail(str(error).strip())
                raise build_failure(str(error), steps.failed)
            steps.take(str(record.get("stream", "")))
            is_built = is_built or "ID" in (record.get("aux") or {})
        if not is_built:
            raise stopped("its answer ended before the image was made")
        steps.end()

    def _container_config(self, request: RunRequest) -> dict[str, Any]:
        found = self.find(request.image)
        config: dict[str, Any] = {
            "Image": found.id if found else request.image,
            "Env": [f"{name}={value}" for name, value in request.env],
            "Labels": dict((*request.labels, RUN_LABEL)),
            "ExposedPorts": {f"{port.container_port}/{port.protocol}": {} for port in request.ports},
            "HostConfig": {
                "PortBindings": {
                    f"{port.container_port}/{port.protocol}": [
                        {"HostIp": port.host_ip, "HostPort": str(port.host_port or "")}
                    ]
                    for port in request.ports
                },
                "PublishAllPorts": request.publish_all,
                "Mounts": [
                    {
                        "Type": "bind",
                        "Source": volume.source,
                        "Target": volume.target,
                        "ReadOnly": volume.read_only,
                    }
                    for volume in request.volumes
                ],
            },
        }
        if request.command:
            config["Cmd"] = list(request.command)
        if request.user:
            config["User"] = request.user
        if request.volumes and self.facts.rootless and self._maps_users:
            # Else whoever starts the container is its root, and the image's user may not write the folder.
            uid = _IMAGE_UID if request.uid is None else request.uid
            config["HostConfig"]["UsernsMode"] = f"keep-id:uid={uid},gid={uid}"
        return config


class ApiContainer:
    """A container of an engine behind the Docker Engine API."""

    def __init__(self, wire: Wire, container_id: str, *, host: str | None, is_podman: bool) -> None:
        self.id = container_id
        self._wire = wire
        self._host = host
        self._is_podman = is_podman

    def host_ports(self) -> dict[tuple[int, str], tuple[str, int]]:
        """Where each published port is reached: (8888, "tcp") → ("127.0.0.1", 49153)."""
        published = self._inspect()["NetworkSettings"].get("Ports") or {}
        return {
            _port(name): (self._reached_at(bindings[0]["HostIp"]), int(bindings[0]["HostPort"]))
            for name, bindings in published.items()
            if bindings
        }

    def follow(self, emit: Emit) -> None:
        """Emit what the container prints, from its start, until it ends; nothing is lost at the end."""
        output = _Output(emit)
        if self._is_podman:
            self._read_again_and_again(output)
        else:
            for number, payload in self._printed(follow=True):
                output.add(number, payload)
        # Docker ends the stream of a container that exits before it has written the last piece to its log.
        if self._wait().status != 404:
            self._catch_up(output)
        output.end()

    def _read_again_and_again(self, output: "_Output") -> None:
        """Podman 4 drops lines when it follows a container that prints fast; what it has written down is whole."""
        while self._runs():
            began = time.monotonic()
            self._catch_up(output)
            time.sleep(max(_LOOK_SECONDS, _LOOK_SHARE * (time.monotonic() - began)))

    def _catch_up(self, output: "_Output") -> None:
        seen = dict(output.sizes)
        for number, payload in self._printed(follow=False):
            fresh = payload[seen[number] :]
            seen[number] = max(0, seen[number] - len(payload))
            output.add(number, fresh)

    def _runs(self) -> bool:
        answer = self._wire.ask("GET", f"/containers/{self.id}/json")
        return answer.status != 404 and (
            self._expect(answer, doing="look at the container")["State"]["Status"] not in _ENDED
        )

    def _printed(self, *, follow: bool) -> Iterator[tuple[int, bytes]]:
        params = {"follow": "1" if follow else "", "stdout": "1", "stderr": "1"}
        with self._wire.stream("GET", f"/containers/{self.id}/logs", params=params) as stream:
            if refusal := stream.refusal():
                raise engine_failure(refusal.message, doing="show what the container prints")
            yield from stream.frames()

    def exit_code(self) -> int | None:
        """The exit code, or None while it runs."""
        state = self._inspect()["State"]
        return int(state["ExitCode"]) if state["Status"] in _ENDED else None

    def wait(self) -> int:
        """Block until it ended; its exit code."""
        return int(self._expect(self._wait(), doing="wait for the container")["StatusCode"])

    def stop(self, grace_seconds: int) -> None:
        """SIGTERM, then SIGKILL after the grace time; no error when it has ended already."""
        answer = self._wire.ask(
            "POST", f"/containers/{self.id}/stop", params={"t": str(grace_seconds)}, seconds=None
        )
        if answer.status != 404:
            self._expect(answer, doing="stop the container")

    def signal(self, name: str) -> None:
        """Send a signal ("SIGINT") to its main process; no error when it has ended already."""
        answer = self._wire.ask("POST", f"/containers/{self.id}/kill", params={"signal": name})
        # Podman 4 answers 500 where Docker answers 409.
        has_ended = answer.status in (404, 409) or "only kill running containers" in answer.message
        if not has_ended:
            self._expect(answer, doing=f"send {name} to the container")

    def remove(self) -> None:
        """Take it away, running or not; no error when it is gone."""
        answer = self._wire.ask(
            "DELETE", f"/containers/{self.id}", params={"force": "1", "v": "1"}, seconds=None
        )
        # 409: it is being removed by somebody else at this moment.
        if answer.status not in (404, 409):
            self._expect(answer, doing="remove the container")

    def _wait(self) -> Answer:
        return self._wire.ask("POST", f"/containers/{self.id}/wait", seconds=None)

    def _inspect(self) -> dict[str, Any]:
        answer = self._wire.ask("GET", f"/containers/{self.id}/json")
        content = self._expect(answer, doing="look at the container")
        return dict(content)

    def _expect(self, answer: Answer, *, doing: str) -> Any:
        if not answer.ok:
            raise engine_failure(answer.message, doing=doing)
        return answer.content

    def _reached_at(self, host_ip: str) -> str:
        if self._host:
            return self._host
        return "127.0.0.1" if host_ip in ("", "0.0.0.0", "::") else host_ip  # noqa: S104 (compared, not bound)


def split_name(name: str) -> tuple[str, str]:
    """Repository and tag, or repository and digest: "a/b:1" → ("a/b", "1"); no tag means latest."""
    repository, at, digest = name.partition("@")
    if at:
        return repository, digest
    folder, slash, last = name.rpartition("/")
    last, colon, tag = last.partition(":")
    return f"{folder}{slash}{last}", tag if colon else "latest"


def _names_a_registry(name: str) -> bool:
    first, slash, _ = name.partition("/")
    return name.startswith("sha256:") or (
        bool(slash) and ("." in first or ":" in first or first == "localhost")
    )


def _remote_host(address: str) -> str | None:
    parts = urlsplit(address)
    if parts.scheme not in ("tcp", "ssh", "http", "https"):
        return None
    host = parts.hostname
    return None if host is None or host == "localhost" or host.startswith("127.") or host == "::1" else host


def _image(content: dict[str, Any]) -> Image:
    config = content.get("Config") or {}
    return Image(
        id=content["Id"],
        names=tuple(content.get("RepoTags") or ()),
        size=int(content.get("Size") or 0),
        labels=dict(config.get("Labels") or {}),
        env=dict(setting.split("=", 1) for setting in config.get("Env") or () if "=" in setting),
        working_dir=config.get("WorkingDir") or "",
        user=config.get("User") or "",
        layers=tuple((content.get("RootFS") or {}).get("Layers") or ()),
    )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:2])


def _port(name: str) -> tuple[int, str]:
    number, _, protocol = name.partition("/")
    return int(number), protocol or "tcp"


def _quoted(text: str) -> str:
    return '"' + re.sub(r'(["\\$])', r"\\\1", text) + '"'


def _registry_headers(credentials: str | None) -> dict[str, str]:
    return {"X-Registry-Auth": credentials} if credentials else {}


def _pull_failure(name: str, message: str) -> Exception:
    return out_of_disk() if "no space left on device" in message else image_unavailable(name, message.strip())


def _emit_transfer(record: dict[str, Any], emit: Emit) -> None:
    detail = record.get("progressDetail") or {}
    if detail.get("current"):
        what = f"{record.get('id', '')} {record.get('status', '')}".strip()
        emit(Transferred(what=what, done=int(detail["current"]), total=detail.get("total") or None))


class _Output:
    """What a container printed so far, told apart by stream and decoded piece by piece."""

    _STREAMS: tuple[tuple[int, Literal["stdout", "stderr"]], ...] = ((1, "stdout"), (2, "stderr"))

    def __init__(self, emit: Emit) -> None:
        self.sizes = {1: 0, 2: 0}
        self._emit = emit
        self._decoders = {
            number: codecs.getincrementaldecoder("utf-8")("replace") for number, _ in self._STREAMS
        }

    def add(self, number: int, payload: bytes) -> None:
        self.sizes[number] += len(payload)
        self._tell(number, self._decoders[number].decode(payload))

    def end(self) -> None:
        for number, decoder in self._decoders.items():
            self._tell(number, decoder.decode(b"", final=True))

    def _tell(self, number: int, text: str) -> None:
        if text:
            self._emit(ContainerOutput(text=text, stream=dict(self._STREAMS)[number]))


def _reported(context: Iterator[bytes], emit: Emit) -> Iterator[bytes]:
    sent = told = 0
    for piece in context:
        yield piece
        sent += len(piece)
        if sent - told >= _CONTEXT_REPORT_BYTES:
            told = sent
            emit(Transferred(what="build context", done=sent, total=None))


def _take_trace(record: dict[str, Any], steps: BuildkitSteps, emit: Emit) -> None:
    try:
        steps.take(read_status(b64decode(str(record.get("aux") or ""))))
    except ValueError as error:
        # The image does not depend on it: only this piece of progress is not shown.
        emit(Warned(f"A progress message of the engine was not understood: {error}"))
