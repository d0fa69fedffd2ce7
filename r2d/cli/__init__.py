"""The command line: options in, one call of the pipeline, an exit code out."""
