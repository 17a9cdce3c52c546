"""The process that stops the children of a launcher that was killed, in their order.

`python -m deploy.embedded.orphan_stopper RECORDS ENDPOINTS` waits for the end of its standard input, which the
kernel closes when the launcher ends in whatever way. After an orderly stop the record file is gone and there is
nothing to do. PR_SET_PDEATHSIG would be an alternative, but only Linux has it, it follows the thread that forked
instead of the process, and it would kill Kafka and PostgreSQL at the same time instead of one after the other.
"""

import os
import sys
from pathlib import Path

from deploy.embedded.processes import read_records, stop_in_order


def main() -> None:
    """Wait for the end of standard input, then stop every process that the record file still lists."""
    path, endpoints = map(Path, sys.argv[1:3])
    while os.read(0, 64):
        pass
    records = read_records(path)
    if records:
        # Removed now, because the next launcher may write its own while the old children are still stopping.
        endpoints.unlink(missing_ok=True)
        stop_in_order(records)
        path.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
