"""Steps that several buildpacks add: the user, the Jupyter server, apt.txt, postBuild, start. Nothing to inherit."""
