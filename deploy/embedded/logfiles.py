"""The log files of the children: opened for them, kept to a size, read from their end.

A child writes to its file itself, so its log goes on when the launcher is gone. The file is cut by copying
it aside and emptying it, since the child keeps it open (it appends, so it goes on at the new end).
"""

import os
import shutil
from pathlib import Path
from typing import BinaryIO

_TAIL_BYTES_MAX = 64 * 1024


def open_log(path: Path, bytes_max: int) -> BinaryIO:
    """Open a log for appending, unbuffered, readable by its owner only; one that is half full is set aside first."""
    cut_log(path, bytes_max // 2)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    return os.fdopen(descriptor, "ab", buffering=0)


def cut_log(path: Path, bytes_max: int) -> bool:
    """Move the content of a log over the limit to `<name>.1`; returns whether it did."""
    try:
        if path.stat().st_size <= bytes_max:
            return False
        aside = path.with_name(path.name + ".1")
        shutil.copyfile(path, aside)
        aside.chmod(0o600)
        os.truncate(path, 0)
    except OSError:
        return False  # missing, or the disk is full: the disk watch has its own word about that
    return True


def last_lines(path: Path, count: int, start: int = 0) -> list[str]:
    """At most `count` last non-empty lines after byte `start`, without control characters."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            # A log that was cut is shorter than where its child began to write.
            file.seek(max(start if start <= size else 0, size - _TAIL_BYTES_MAX))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return []
    lines = ["".join(char for char in line if char.isprintable() or char == "\t") for line in text.splitlines()]
    return [line for line in lines if line.strip()][-count:]
