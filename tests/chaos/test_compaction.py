"""The changelog is compacted as hard as the broker can, while workers are killed or paused."""

import pytest
from chaos.acts import compact_hard, compacted_share, kill_at_random_points, pause_past_the_session
from chaos.scene import Scene, chosen

pytestmark = pytest.mark.timeout(1_800)


def test_kills_under_compaction(scene: Scene) -> None:
    """No lag at all: nothing that recovery needs may depend on an old version of a key."""
    (worker,) = scene.begin(1, chosen("RATE", 2_000, 2_000))
    compact_hard(scene, lag_ms=0)
    kill_at_random_points(scene, worker, int(chosen("KILLS", 4, 50)))
    verdict = scene.conclude(raw=True)
    assert verdict.counts["takeovers"] > 4, "no recovery was seen"
    assert compacted_share(scene) > 0.2, "the cleaner did not run"


def test_pauses_under_compaction(scene: Scene) -> None:
    """With a lag that outlives a pause, a fenced-off writer's late records displace nothing."""
    workers = scene.begin(2, chosen("RATE", 2_000, 2_000))
    compact_hard(scene, lag_ms=int(chosen("LAG_MS", 15_000, 15_000)))
    pause_past_the_session(scene, workers, int(chosen("PAUSES", 2, 25)), kills=0.5)
    verdict = scene.conclude(raw=False)
    assert verdict.counts["takeovers"] > 4, "nobody took anything over"
