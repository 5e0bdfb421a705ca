"""The command `fairtrial` over toy jobs: a cell takes milliseconds, the rest is real."""

from __future__ import annotations

import sys

from fairtrial.cli.main import main
from fairtrial.execution import worker_pool
from tests.support.toy import WORKER

if __name__ == "__main__":
    worker_pool.ENTRY = (WORKER,)
    sys.exit(main())
