"""The process that outlives a launcher killed hard, and stops its children in their order.

`python -m deploy.embedded.orphan_stopper RECORDS ENDPOINTS`: waits until its standard input ends, which the kernel does when
the launcher is gone, however it went. After an orderly stop the record file is gone and nothing is left to
do. It was chosen over PR_SET_PDEATHSIG, which Linux alone has, which follows the thread and not the process
that forked, and which would kill Kafka and PostgreSQL at the same instant instead of one after the other.
"""

import os
import sys
from pathlib import Path

from deploy.embedded.processes import read_records, stop_in_order


def main() -> None:
    """Wait for the end of standard input, then stop whatever the record file still lists."""
    path, endpoints = map(Path, sys.argv[1:3])
    while os.read(0, 64):
        pass
    records = read_records(path)
    if records:
        # At once: the next launcher may write its own while the old children still stop.
        endpoints.unlink(missing_ok=True)
        stop_in_order(records)
        path.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
