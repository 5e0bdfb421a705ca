"""`python -m fairtrial`, as safe as `fairtrial`: nothing is imported from the current folder."""

import sys

if __name__ == "__main__":
    # -m has put the current folder before the library: nothing of it has been imported so far.
    if not sys.flags.safe_path:
        del sys.path[0]

    from fairtrial.cli.main import main

    sys.exit(main())
