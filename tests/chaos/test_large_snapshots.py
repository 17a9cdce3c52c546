"""Snapshots that do not fit into one RecordBatch, on a real broker: killed in the middle, compacted hard."""

import pytest
from chaos.acts import compact_hard, kill_at_random_points, pause_past_the_session
from chaos.scene import Scene, chosen, long_form
from support.waiting import until

pytestmark = pytest.mark.timeout(1_800)


SMALL = ("changelog.batch_bytes_max = 1500", "output.batch_bytes_max = 900")
"""Nearly every snapshot takes several steps."""


def test_killed_under_compaction(scene: Scene) -> None:
    """Compaction without any lag."""
    scene.worker_settings += SMALL
    (worker,) = scene.begin(1, chosen("RATE", 2_000, 2_000))
    compact_hard(scene, lag_ms=0)
    kill_at_random_points(scene, worker, int(chosen("KILLS", 3, 50)))
    until(
        lambda: worker.metric("watchfloor_worker_large_snapshots_total") > 0,
        "a snapshot takes several steps",
        within_s=30,
    )
    scene.conclude(raw=True)


@long_form
def test_paused_in_the_middle(scene: Scene) -> None:
    """The late half of a snapshot meets the fence of the next owner."""
    scene.worker_settings += SMALL
    workers = scene.begin(2, chosen("RATE", 2_000, 2_000))
    pause_past_the_session(scene, workers, int(chosen("PAUSES", 2, 25)), kills=0.5)
    verdict = scene.conclude(raw=False)
    assert verdict.counts["snapshots_in_parts"] > 0
