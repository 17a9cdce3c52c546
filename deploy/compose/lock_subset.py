"""Cuts a part out of requirements.lock: what a container needs, with the hashes that the lock has.

The lock pins everything that the project ever installs, test tools too. A container shall hold only what
runs there, and exactly what was locked. The lock's `# via` notes say who needs what. Standard library
only: this runs before anything is installed.

    python lock_subset.py requirements.lock              what `watchfloor` itself needs
    python lock_subset.py requirements.lock hatchling    what building it needs
"""

import re
import sys
from collections.abc import Iterable
from pathlib import Path

PROJECTS = {"watchfloor (pyproject.toml)", "watchfloor-client"}
"""What is built from this repository, as the lock's notes call it."""
_HEAD = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==")
_VIA = re.compile(r"^ +#(?: via)? +(?P<parent>\S.*)$")


def blocks(lock: str) -> dict[str, str]:
    """Each package's lines: its pin, its hashes and who needs it."""
    found: dict[str, list[str]] = {}
    current: list[str] = []
    for line in lock.splitlines(keepends=True):
        if head := _HEAD.match(line):
            current = found.setdefault(head[1], [])
        if line.strip() and not line.startswith("#"):
            current.append(line)
    return {name: "".join(lines) for name, lines in found.items()}


def parents(block: str) -> set[str]:
    """Who needs a package: other packages, or the project with the group in brackets."""
    return {match["parent"] for line in block.splitlines() if (match := _VIA.match(line))}


def subset(lock: str, roots: Iterable[str] = ()) -> str:
    """The part of a lock that these packages need, or the project itself where none are named.

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
