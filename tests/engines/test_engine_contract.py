"""What every engine promises, the fake included."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from r2d.engines.fake import ContainerScript, StepOf
from r2d.engines.protocol import BuildRequest, Port, Volume
from r2d.errors import BaseImageUnavailable, BuildFailed, ContainerNotStarted
from r2d.events import Event, StepFailed, StepFinished, StepOutput, StepStarted
from tests.engines.conftest import Bench, context_of


def finished(bench: Bench, instruction: str) -> StepFinished:
    found = [e for e in bench.events if isinstance(e, StepFinished) and instruction in e.name]
    assert len(found) == 1, bench.events
    return found[0]


def printed(bench: Bench) -> str:
    return "".join(event.text for event in bench.events if isinstance(event, StepOutput))


def until(condition: Callable[[], bool], seconds: float = 15) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def is_running(word: str) -> bool:
    """Whether a process of this machine has this word in its command line."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if word.encode() in path.read_bytes():
                return True
        except OSError:
            continue
    return False


def test_a_build_gives_an_image_under_its_tag_and_tells_each_step_once(bench: Bench, marker: str) -> None:
    bench.will(StepOf("echo", prints=(marker,)))
    image = bench.build(f"RUN echo {marker}\nCOPY a.txt /a.txt", {"a.txt": b"hello"})

    assert image.id.startswith("sha256:")
    assert marker in printed(bench)
    assert not finished(bench, f"RUN echo {marker}").cached
    assert not finished(bench, "COPY a.txt").cached
    started = [event.step for event in bench.events if isinstance(event, StepStarted)]
    ended = [event.step for event in bench.events if isinstance(event, StepFinished)]
    assert sorted(started) == sorted(ended)
    assert len(set(started)) == len(started)


def test_the_same_build_again_is_taken_from_the_cache(bench: Bench, marker: str) -> None:
    first = bench.build(f"RUN echo {marker}")
    second = bench.build(f"RUN echo {marker}")

    assert finished(bench, "RUN echo").cached
    assert second.layers == first.layers


def test_no_cache_runs_each_step_anew(bench: Bench, marker: str) -> None:
    bench.build(f"RUN echo {marker}")
    bench.build(f"RUN echo {marker}", no_cache=True)

    assert not finished(bench, "RUN echo").cached


def test_a_step_is_called_what_the_request_calls_it(bench: Bench, marker: str) -> None:
    bench.build(
        f"RUN echo {marker}", step_name=lambda text: "greeting" if text == f"RUN echo {marker}" else text
    )

    assert finished(bench, "greeting").seconds >= 0


def test_a_failed_step_is_told_with_its_last_lines_and_leaves_no_tag(bench: Bench, marker: str) -> None:
    name = bench.new_name()
    bench.will(StepOf("seq", prints=tuple(str(number) for number in range(1, 31)), exit_code=3))
    with pytest.raises(BuildFailed) as caught:
        bench.build(f"RUN seq 1 30; exit 3; echo {marker}", tag=name)

    assert "ended with exit code 3" in caught.value.problem
    assert caught.value.where
    assert "RUN seq 1 30" in caught.value.where
    assert caught.value.fix
    failed = [event for event in bench.events if isinstance(event, StepFailed)]
    assert [event.tail for event in failed] == [tuple(str(number) for number in range(11, 31))]
    assert bench.engine.find(name) is None


def test_a_failed_build_leaves_the_image_that_had_the_tag(bench: Bench, marker: str) -> None:
    before = bench.build(f"RUN echo {marker}")
    name = next(iter(before.names))
    bench.will(StepOf("exit 3", exit_code=3))
    with pytest.raises(BuildFailed):
        bench.build(f"RUN exit 3; echo {marker}", tag=name)

    after = bench.engine.find(name)
    assert after is not None
    assert after.id == before.id


def test_a_step_that_was_killed_is_told_as_lack_of_memory(bench: Bench, marker: str) -> None:
    bench.will(StepOf("exit 137", exit_code=137))
    with pytest.raises(BuildFailed, match="memory ran out"):
        bench.build(f"RUN exit 137; echo {marker}")


def test_a_base_image_that_is_nowhere_is_named(bench: Bench) -> None:
    context = context_of("FROM r2d-is-not-there:at-all\nRUN true\n")
    with pytest.raises(BaseImageUnavailable) as caught:
        bench.engine.build(BuildRequest(bench.new_name(), context), bench.events.append)

    assert "r2d-is-not-there:at-all" in caught.value.problem
    assert "r2d base create" in (caught.value.fix or "")


def test_an_image_that_is_nowhere_cannot_be_pulled(bench: Bench) -> None:
    with pytest.raises(BaseImageUnavailable, match="r2d-is-not-there"):
        bench.engine.pull("localhost:1/r2d-is-not-there:at-all", bench.events.append)


def test_labels_of_the_request_and_of_the_base_are_on_the_image(bench: Bench, marker: str) -> None:
    value = f'{marker} "quoted" $dollar \\ back, {{"json": true}}'
    image = bench.build("RUN true", labels=(("r2d.test", value),))

    assert image.labels["r2d.test"] == value
    assert image.labels["r2d.contract"] == 'a "b" $c \\ d'
    assert image.id in [found.id for found in bench.engine.images(f"r2d.test={value}")]
    assert image.id in [found.id for found in bench.engine.images("r2d.test")]


def test_build_arguments_reach_the_steps(bench: Bench, marker: str) -> None:
    bench.will(StepOf("WORD", prints=(f"got {marker}",)))
    bench.build('ARG WORD\nRUN echo "got $WORD"', build_args=(("WORD", marker),))

    assert f"got {marker}" in printed(bench)


def test_mounts_of_the_context_and_of_a_cache_are_there_in_a_step(bench: Bench, marker: str) -> None:
    bench.will(
        StepOf("echo kept", prints=()), StepOf("cat /c/kept", prints=("kept from before", "from context"))
    )
    mount = f"RUN --mount=type=cache,id={marker},target=/c"
    bench.build(f"{mount} echo kept from before > /c/kept")
    bench.build(
        f"{mount} --mount=type=bind,source=a.txt,target=/a.txt cat /c/kept /a.txt",
        {"a.txt": b"from context\n"},
    )

    assert printed(bench).split("\n")[-3:] == ["kept from before", "from context", ""]


def test_an_image_is_found_by_each_of_its_names_and_by_its_id(bench: Bench, marker: str) -> None:
    name, further = bench.new_name(), bench.new_name()
    image = bench.build(f"RUN echo {marker}", tag=name)
    bench.engine.tag(name, further)

    for known in (name, further, image.id):
        found = bench.engine.find(known)
        assert found is not None
        assert found.id == image.id
    assert len(bench.engine.find(name).names) == 2  # type: ignore[union-attr]


def test_removing_one_name_leaves_the_other_and_removing_twice_is_no_error(bench: Bench, marker: str) -> None:
    name, further = bench.new_name(), bench.new_name()
    bench.build(f"RUN echo {marker}", tag=name)
    bench.engine.tag(name, further)
    bench.engine.remove_image(name)
    bench.engine.remove_image(name)

    assert bench.engine.find(name) is None
    assert bench.engine.find(further) is not None


def test_nothing_is_found_under_an_unknown_name(bench: Bench) -> None:
    assert bench.engine.find("r2d-is-not-there:at-all") is None
    assert bench.engine.images("r2d.no-such-label") == ()


def test_output_of_both_streams_arrives_whole_without_a_last_line_break(bench: Bench) -> None:
    bench.container_will(ContainerScript((("stdout", "out é"), ("stderr", "err"))))
    for _ in range(3):
        container = bench.run("sh", "-c", "printf 'out é'; printf err >&2")
        assert bench.output_of(container) == {"stdout": "out é", "stderr": "err"}


def test_a_long_output_arrives_whole(bench: Bench) -> None:
    whole = "".join(f"{number}\n" for number in range(1, 20_001))
    bench.container_will(ContainerScript((("stdout", whole),)))

    assert bench.output_of(bench.run("seq", "1", "20000"))["stdout"] == whole


def test_the_exit_code_is_the_commands(bench: Bench) -> None:
    bench.container_will(ContainerScript(exit_code=4))
    container = bench.run("sh", "-c", "exit 4")

    assert container.wait() == 4
    assert container.exit_code() == 4


def test_environment_user_and_command_reach_the_container(bench: Bench) -> None:
    bench.container_will(ContainerScript((("stdout", "a b=c 1234\n"),)))
    container = bench.run("sh", "-c", 'echo "$WORD $(id -u)"', env=(("WORD", "a b=c"),), user="1234")

    assert bench.output_of(container)["stdout"] == "a b=c 1234\n"


def test_an_empty_command_means_the_images_own(bench: Bench, marker: str) -> None:
    bench.container_will(ContainerScript((("stdout", f"{marker}\n"),)))
    image = bench.build(f'CMD ["echo", "{marker}"]')

    assert bench.output_of(bench.run(image=image.id))["stdout"] == f"{marker}\n"


def test_a_volume_is_seen_in_the_container_and_may_be_read_only(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "here").write_text("on the host")
    bench.container_will(ContainerScript((("stdout", "on the host"),), exit_code=1))
    volume = Volume(str(tmp_path), "/there", read_only=True)
    container = bench.run("sh", "-c", "cat /there/here; echo no > /there/new", volumes=(volume,))

    assert bench.output_of(container)["stdout"] == "on the host"
    assert container.wait() == 1
    assert not (tmp_path / "new").exists()


def test_the_engine_picks_a_free_port_when_none_is_named(bench: Bench) -> None:
    bench.container_will(ContainerScript(until_stopped=True))
    container = bench.run("sleep", "60", ports=(Port(8888),))
    host, port = container.host_ports()[8888, "tcp"]

    assert host == "127.0.0.1"
    assert port > 1024


def test_a_port_that_is_taken_is_told_and_no_container_stays(bench: Bench) -> None:
    bench.container_will(ContainerScript(until_stopped=True))
    _, port = bench.run("sleep", "60", ports=(Port(8888),)).host_ports()[8888, "tcp"]
    with pytest.raises(ContainerNotStarted, match="taken"):
        bench.run("sleep", "60", ports=(Port(8888, host_port=port),))


def test_a_command_that_does_not_exist_is_told(bench: Bench) -> None:
    bench.container_will(
        ContainerScript(not_started_because='exec: "nosuch": executable file not found in $PATH')
    )
    with pytest.raises(ContainerNotStarted, match="nosuch"):
        bench.run("nosuch")


def test_an_image_that_is_not_there_cannot_be_run(bench: Bench) -> None:
    with pytest.raises(ContainerNotStarted, match="r2d-is-not-there"):
        bench.run("true", image="r2d-is-not-there:at-all")


def test_stop_asks_first_and_kills_after_the_grace(bench: Bench) -> None:
    bench.container_will(ContainerScript((("stdout", "ready\n"),), until_stopped=True))
    ready = threading.Event()
    container = bench.run("sh", "-c", "trap 'exit 143' TERM; echo ready; while true; do sleep 0.1; done")
    follower = threading.Thread(target=container.follow, args=(lambda _: ready.set(),))
    follower.start()
    assert ready.wait(20)
    container.stop(10)
    follower.join(20)

    assert not follower.is_alive()
    assert container.exit_code() == 143
    container.stop(10)
    container.signal("SIGINT")


def test_a_container_that_does_not_heed_the_signal_is_killed(bench: Bench) -> None:
    if not bench.is_real:
        bench.container_will(ContainerScript(exit_code=137))
    container = bench.run("sh", "-c", "trap '' TERM; while true; do sleep 0.1; done")
    container.stop(1)

    assert container.exit_code() == 137


def test_a_signal_reaches_the_main_process(bench: Bench) -> None:
    bench.container_will(ContainerScript((("stdout", "ready\n"),), until_stopped=True))
    ready = threading.Event()
    container = bench.run("sh", "-c", "trap 'exit 130' INT; echo ready; while true; do sleep 0.1; done")
    follower = threading.Thread(target=container.follow, args=(lambda _: ready.set(),))
    follower.start()
    assert ready.wait(20)
    container.signal("SIGINT")
    follower.join(20)

    assert container.wait() == 130


def test_a_container_is_removed_while_it_runs_and_again_without_error(bench: Bench) -> None:
    bench.container_will(ContainerScript(until_stopped=True))
    container = bench.run("sleep", "60")
    assert container.exit_code() is None
    container.remove()
    container.remove()


def test_an_interrupted_build_leaves_nothing(bench: Bench, marker: str) -> None:
    name = bench.new_name()
    bench.will(StepOf("sleep", prints=("begun",)))

    def interrupt(event: Event) -> None:
        if isinstance(event, StepOutput):
            raise KeyboardInterrupt

    context = context_of(f"FROM {bench.base}\nRUN echo begun; sleep 300; echo {marker}\n")
    with pytest.raises(KeyboardInterrupt):
        bench.engine.build(BuildRequest(name, context), interrupt)

    assert bench.engine.find(name) is None
    assert until(lambda: not is_running(marker)), "the step of the interrupted build still runs"


def test_a_context_that_cannot_be_read_is_told_as_it_is(bench: Bench) -> None:
    def broken():  # type: ignore[no-untyped-def]
        yield b"\0" * 512
        raise FileNotFoundError("notebook.ipynb")

    with pytest.raises(FileNotFoundError, match=r"notebook\.ipynb"):
        bench.engine.build(BuildRequest(bench.new_name(), broken), bench.events.append)
