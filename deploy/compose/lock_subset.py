"""Extracts from requirements.lock the packages that a container needs, with their hashes.

The lock pins everything that the project ever installs, test tools included. A container should hold only
what runs there, in exactly the locked versions. The lock's `# via` notes say which package requires which.
Standard library only: this runs before anything is installed.

    python lock_subset.py requirements.lock              what `watchfloor` itself needs
    python lock_subset.py requirements.lock hatchling    what building it needs
"""

import re
import sys
from collections.abc import Iterable
from pathlib import Path

PROJECTS = {"watchfloor (pyproject.toml)", "watchfloor-client"}
"""How the lock's notes name this project."""
_HEAD = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==")
_VIA = re.compile(r"^ +#(?: via)? +(?P<parent>\S.*)$")


def blocks(lock: str) -> dict[str, str]:
    """The lines of each package: its pin, its hashes and what requires it."""
    found: dict[str, list[str]] = {}
    current: list[str] = []
    for line in lock.splitlines(keepends=True):
        if head := _HEAD.match(line):
            current = found.setdefault(head[1], [])
        if line.strip() and not line.startswith("#"):
            current.append(line)
    return {name: "".join(lines) for name, lines in found.items()}


def parents(block: str) -> set[str]:
    """What requires a package: other packages, or the project with the dependency group in brackets."""
    return {match["parent"] for line in block.splitlines() if (match := _VIA.match(line))}


def subset(lock: str, roots: Iterable[str] = ()) -> str:
    """The part of a lock that these packages need, or that the project itself needs if none are named.

    Raises:
        KeyError: a root is not in the lock.
    """
    known = blocks(lock)
    wanted = set(PROJECTS)
    if named := set(roots):
        wanted = {name for name in named if known[name]}
    size = -1
    while size != len(wanted):
        size = len(wanted)
        wanted |= {name for name, block in known.items() if parents(block) & wanted}
    return "".join(block for name, block in known.items() if name in wanted)


if __name__ == "__main__":
    sys.stdout.write(subset(Path(sys.argv[1]).read_text(encoding="utf-8"), sys.argv[2:]))
