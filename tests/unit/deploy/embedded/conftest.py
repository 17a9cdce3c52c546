"""Children that a test starts end with it."""

from support.child_processes import make

__all__ = ["make"]
