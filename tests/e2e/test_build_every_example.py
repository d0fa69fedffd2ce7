"""Every example becomes an image in which its command prints what it should and its notebook runs."""

import pytest

from tests.e2e.machine import Machine
from tests.golden.corpus import EXAMPLES, Example

# A Python that the base does not have needs a place that has it: see test_python_from_a_mirror.
_HERE = tuple(example for example in EXAMPLES if not example.needs)
_ON_PODMAN = tuple(example for example in _HERE if example.name in ("requirements", "binder-folder"))


@pytest.mark.parametrize("example", _HERE, ids=lambda example: example.name)
def test_an_example_does_what_it_promises_on_docker(docker: Machine, example: Example) -> None:
    does_what_it_promises(docker, docker.build(example.folder), example)


@pytest.mark.parametrize("example", _ON_PODMAN, ids=lambda example: example.name)
def test_an_example_does_what_it_promises_on_podman(podman: Machine, example: Example) -> None:
    does_what_it_promises(podman, podman.build(example.folder), example)


def does_what_it_promises(machine: Machine, image: str, example: Example) -> None:
    """The command prints its output, and the notebook runs from its first cell to its last."""
    assert example.output in machine.tell(image, *example.command)
    machine.tell(image, "jupyter", "execute", example.notebook)
