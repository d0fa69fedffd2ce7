"""The buildpacks r2d comes with, in their order."""

from r2d.buildpack import BuildPack
from r2d_buildpacks.common.apt import AptTxt
from r2d_buildpacks.common.user_scripts import PostBuild, Start
from r2d_buildpacks.python.pack import PlainJupyter, RequirementsTxt

BUILTIN: tuple[BuildPack, ...] = (
    RequirementsTxt(),
    # After everything that describes a Python environment: it takes what none of them wanted.
    PlainJupyter(),
    # These add to whatever the others make, so that their place among them does not matter.
    AptTxt(),
    PostBuild(),
    Start(),
)
