"""The log files of the children: opening them, limiting their size, reading their last lines.

A child writes to its file itself, so that it can log after the launcher is gone. Because the child keeps the
file open, the file is rotated by copying it and emptying it; the child appends at the new end.
"""

import os
import shutil
from pathlib import Path
from typing import BinaryIO

_TAIL_BYTES_MAX = 64 * 1024


def open_log(path: Path, bytes_max: int) -> BinaryIO:
    """Open a log for appending, unbuffered and readable only by its owner; rotate it first if it is half full."""
    cut_log(path, bytes_max // 2)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    return os.fdopen(descriptor, "ab", buffering=0)


def cut_log(path: Path, bytes_max: int) -> bool:
    """Move the content of a log that is over the limit to `<name>.1`; return whether it was."""
    try:
        if path.stat().st_size <= bytes_max:
            return False
        aside = path.with_name(path.name + ".1")
        shutil.copyfile(path, aside)
        aside.chmod(0o600)
        os.truncate(path, 0)
    except OSError:
        return False  # missing, or the disk is full, which the check of free space reports
    return True


def last_lines(path: Path, count: int, start: int = 0) -> list[str]:
    """The last non-empty lines after byte `start`, at most `count`, without control characters."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            # A rotated log is shorter than the position at which its child began to write.
            file.seek(max(start if start <= size else 0, size - _TAIL_BYTES_MAX))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return []
    lines = ["".join(char for char in line if char.isprintable() or char == "\t") for line in text.splitlines()]
    return [line for line in lines if line.strip()][-count:]
