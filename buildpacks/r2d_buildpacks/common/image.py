"""What every image of ours has under everything else: its user, locale and folders, and how it starts."""

from r2d.buildpack import own_file
from r2d.plan import BringRepository, Cache, ContextFile, Env, OnPath, Place, Plan, Run, Stage, Target, steps

HERE = "r2d_buildpacks.common"
CONDA_DIR = "/srv/conda"  # a name from the incumbent; hubs and postBuild scripts know the paths below it
PREFIX = f"{CONDA_DIR}/envs/notebook"


def foundation(target: Target) -> Plan:
    """The image before anything of the repository is looked at."""
    user = Run(
        script=own_file(HERE, "image.sh"),
        args=(target.user, str(target.uid), target.home, target.repo_dir),
        why=f"The user {target.user}, a locale, folders",
        as_root=True,
        files=(own_file("r2d.dockerfile", "apt.sh"),),
        caches=(Cache("apt", locked=True),),
    )
    base = steps(
        Stage.BASE,
        Env(
            (
                ("LANG", "en_US.UTF-8"),
                ("LC_ALL", "en_US.UTF-8"),
                ("LANGUAGE", "en_US.UTF-8"),
                ("SHELL", "/bin/bash"),
                ("USER", target.user),
                ("HOME", target.home),
                ("NB_USER", target.user),
                ("NB_UID", str(target.uid)),
                ("APP_BASE", "/srv"),
                ("NPM_DIR", "/srv/npm"),
                ("NPM_CONFIG_GLOBALCONFIG", "/srv/npm/npmrc"),
                ("PYTHONUNBUFFERED", "1"),
            )
        ),
        user,
        OnPath(("/srv/npm/bin",)),
        _place("profile.sh", "/etc/profile.d/00-r2d.sh"),
        _place("script.sh", "/usr/local/bin/r2d-script"),
        _place("entrypoint.sh", "/usr/local/bin/r2d-entrypoint"),
        _place("serve.sh", "/usr/local/bin/r2d-server"),
    )
    repository = steps(
        Stage.PROJECT,
        Env((("REPO_DIR", target.repo_dir),)),
        OnPath(tuple(dict.fromkeys((f"{target.home}/.local/bin", f"{target.repo_dir}/.local/bin")))),
        BringRepository(),
    )
    return base + repository


def _place(name: str, destination: str) -> Place:
    file = own_file(HERE, name)
    return Place(ContextFile(file.path, file.content, executable=True), destination)
