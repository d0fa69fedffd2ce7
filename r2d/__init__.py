"""Turn any repository into a reproducible container image and run it with Jupyter."""

__version__ = "0.1.0"
