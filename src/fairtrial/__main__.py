"""`python -m fairtrial`, as safe as `fairtrial`: nothing is imported from the current folder."""

import os
import sys

if __name__ == "__main__":
    # -m has put the current folder before the library: start again without it, with the same options, and
    # before anything else is imported.
    if not sys.flags.safe_path:
        os.execv(sys.executable, [sys.executable, "-P", *sys.orig_argv[1:]])

    from fairtrial.cli.main import main

    sys.exit(main())
