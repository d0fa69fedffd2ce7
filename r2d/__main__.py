"""`python -m r2d`."""

import sys

if __name__ == "__main__":
    if not sys.flags.safe_path:
        # `-m` puts the working folder first: a folder r2d_buildpacks of some checkout would be imported for ours.
        del sys.path[0]

    from r2d.cli.main import main

    main()
