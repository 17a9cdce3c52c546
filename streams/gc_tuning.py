"""The garbage collector's settings for a process that allocates by the ten thousand and makes few cycles."""

import gc

_THRESHOLDS = (50_000, 20, 100)


def calm_garbage_collector() -> None:
    """Look for cycles seldom; call it once everything is imported.

    Micro-batches hold no cycles, so that a collection finds nothing and costs a pause. What the imports left
    is frozen: no collection walks over it again.
    """
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)
