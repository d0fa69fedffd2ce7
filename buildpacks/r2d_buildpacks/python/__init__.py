"""requirements.txt, and the plain Jupyter that a repository without any file gets."""
