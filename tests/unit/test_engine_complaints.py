"""An engine's words, and the error a user gets for them."""

import pytest

from r2d.engines.complaints import build_failure, engine_failure, reason_in, start_failure
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

METADATA = "[internal] load metadata for example.org/base:1"


def step(instruction: str, problem: str, *tail: str) -> FailedStep:
    return FailedStep(name=instruction, instruction=instruction, problem=problem, tail=tail)


@pytest.mark.parametrize(
    ("message", "failed"),
    [
        ("failed to solve: executor failed running [/bin/sh -c x]: exit code: 3", "RUN x"),
        ('failed to solve: process "/bin/sh -c x" did not complete successfully: exit code: 3', "RUN x"),
        ('building at STEP "RUN x": while running runtime: exit status 3', "RUN x"),
    ],
)
def test_the_exit_code_of_a_step_is_told_with_its_last_words(message: str, failed: str) -> None:
    error = build_failure(message, step(failed, message, "first", "No such package: numpyy"))
    assert isinstance(error, BuildFailed)
    assert error.problem == "`RUN x` ended with exit code 3. Its last words: No such package: numpyy"
    assert error.where == "RUN x"


def test_a_step_whose_output_speaks_of_networks_is_no_missing_base() -> None:
    error = build_failure("exit code: 1", step("RUN curl x", "exit code: 1", "curl: connection refused"))
    assert type(error) is BuildFailed


@pytest.mark.parametrize(
    ("message", "failed"),
    [
        ("pull access denied, repository does not exist or may require authorization", METADATA),
        ("dial tcp: lookup example.org: no such host", METADATA),
        ("example.org/base:1: not found: manifest unknown", METADATA),
        ("dial tcp 127.0.0.1:443: connect: connection refused", METADATA),
        ("failed to resolve source metadata for example.org/base:1: no match", METADATA),
        (
            "initializing source docker://example.org/base:1: reading manifest 1: denied",
            "FROM example.org/base:1",
        ),
        ("creating build container: short-name did not resolve to an alias", "FROM example.org/base:1 AS x"),
        ("toomanyrequests: You have reached your pull rate limit.", METADATA),
    ],
)
def test_a_base_image_that_cannot_be_had_is_named(message: str, failed: str) -> None:
    error = build_failure(message, step(failed, message))
    assert isinstance(error, BaseImageUnavailable)
    assert "example.org/base:1" in error.problem
    assert "r2d base create" in (error.fix or "")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (build_failure("write /x: no space left on device", None), EngineOutOfDisk),
        (
            build_failure("exit code: 1", step("RUN x", "exit code: 1: no space left on device")),
            EngineOutOfDisk,
        ),
        (build_failure("rpc error: code = Unavailable desc = transport is closing", None), EngineDied),
        (build_failure("dockerfile parse error line 2: unknown instruction: RUM", None), BuildFailed),
        (start_failure("Bind for 0.0.0.0:80 failed: port is already allocated", "x"), ContainerNotStarted),
        (start_failure("no such image: x", "x"), ContainerNotStarted),
        (start_failure("write /x: no space left on device", "x"), EngineOutOfDisk),
        (engine_failure("invalid reference format", doing="tag it"), InvalidImageName),
        (engine_failure("boom", doing="tag it"), EngineFailed),
    ],
)
def test_each_situation_has_its_class_and_a_way_out(error: R2DError, kind: type[R2DError]) -> None:
    assert type(error) is kind
    assert error.fix


def test_the_reason_stands_without_what_each_layer_put_before_it() -> None:
    message = (
        "failed to solve with frontend dockerfile.v0: failed to create LLB definition: parse error line 2"
    )
    assert reason_in(message) == "parse error line 2"


def test_a_long_instruction_is_shortened_in_the_problem_only() -> None:
    long = "RUN " + "x" * 500
    error = build_failure("exit code: 1", step(long, "exit code: 1"))
    assert len(error.problem) < 160
    assert error.where == long


@pytest.mark.parametrize(
    ("message", "fix"),
    [
        ('exec: "nosuch": executable file not found in $PATH: unknown', "Check that the command exists"),
        ('slirp4netns failed: "open(\\"/dev/net/tun\\"): Permission denied"', "sudo chmod 666 /dev/net/tun"),
        ("something else: permission denied", "Run `r2d doctor`"),
    ],
)
def test_a_container_that_does_not_start_has_the_remedy_of_its_cause(message: str, fix: str) -> None:
    assert fix in (start_failure(message, "x").fix or "")
