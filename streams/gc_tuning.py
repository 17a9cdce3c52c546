"""The settings of the garbage collector for a process that creates many objects and few reference cycles."""

import gc

_THRESHOLDS = (50_000, 20, 100)


def calm_garbage_collector() -> None:
    """Make collections rare; call this when everything has been imported.

    Micro-batches contain no cycles, so a collection would only cost a pause. The objects of the imported modules
    are frozen, so that no collection traverses them again.
    """
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)
