"""The Jupyter server: a locked set of packages, the same for every repository with this base and Python."""

from dataclasses import replace

from r2d.buildpack import own_file
from r2d.plan import Cache, Chosen, Env, OnPath, Plan, Run, Stage, Target, steps
from r2d_buildpacks.common.image import CONDA_DIR, HERE, PREFIX, foundation
from r2d_buildpacks.common.python_version import Python
from r2d_buildpacks.common.standalone import downloads_json

UV_CACHE = Cache("uv")


def jupyter_server(python: Python, target: Target) -> Plan:
    """An image with a Jupyter server in it, and nothing of the repository yet."""
    lock = own_file(HERE, f"server/server-{python.minor}.txt")
    build = own_file(HERE, "server/build.txt")
    files = [replace(lock, path="server.txt"), build]
    if python.standalone:
        files.append(downloads_json(python.minor, target.platform))
    install = Run(
        script=own_file(HERE, "jupyter.sh"),
        args=(PREFIX, python.minor, "standalone" if python.standalone else "base"),
        why=f"Python {python.minor} and the Jupyter server",
        files=tuple(files),
        caches=(UV_CACHE,),
        tools=("uv",),
    )
    chosen = Plan(chosen=(Chosen("python", python.minor, python.because),))
    return (
        chosen
        + foundation(target)
        + steps(
            Stage.SERVER,
            Env(
                (
                    ("CONDA_DIR", CONDA_DIR),
                    ("NB_PYTHON_PREFIX", PREFIX),
                    ("KERNEL_PYTHON_PREFIX", PREFIX),
                )
            ),
            OnPath((f"{PREFIX}/bin",)),
            install,
        )
    )
