"""The changelog is compacted as hard as the broker can, while workers are killed or paused."""

import pytest
from chaos.scene import Scene, chosen

pytestmark = pytest.mark.timeout(1_800)
SESSION_S = 2.0


def compact_hard(scene: Scene, *, lag_ms: int) -> None:
    """A new segment each half second, cleaned at once where `lag_ms` allows it."""
    scene.cluster.configure_topic(
        f"{scene.name}.state-changelog",
        {
            "segment.ms": "500",
            "min.cleanable.dirty.ratio": "0.01",
            "min.compaction.lag.ms": str(lag_ms),
            "max.compaction.lag.ms": str(max(lag_ms, 500)),
            "delete.retention.ms": "0",
        },
    )


def compacted_share(scene: Scene) -> float:
    """How much of the changelog is gone, 0..1."""
    topic = f"{scene.name}.state-changelog"
    ends = scene.cluster.reader.ends(topic)
    left = len(scene.cluster.reader.read(topic))
    return 1 - left / max(1, sum(ends.values()))


def test_kills_under_compaction(scene: Scene) -> None:
    """No lag at all: nothing that recovery needs may depend on an old version of a key."""
    (worker,) = scene.begin(1, chosen("RATE", 2_000, 2_000))
    compact_hard(scene, lag_ms=0)
    for kill in range(int(chosen("KILLS", 3, 50))):
        scene.sleep(0.5, 3.0)
        worker.kill()
        scene.note(f"kill {kill}", "kills")
        worker.start()
        worker.wait_ready()
    scene.conclude(raw=True)
    assert compacted_share(scene) > 0.2, "the cleaner did not run"


def test_pauses_under_compaction(scene: Scene) -> None:
    """With a lag that outlives a pause, a fenced-off writer's late records displace nothing."""
    workers = scene.begin(2, chosen("RATE", 2_000, 2_000))
    compact_hard(scene, lag_ms=int(chosen("LAG_MS", 15_000, 15_000)))
    for pause in range(int(chosen("PAUSES", 3, 25))):
        scene.sleep(0.3, 2.0)
        paused, owner = scene.random.sample(workers, 2)
        paused.pause()
        scene.note(f"pause {pause} of {paused.name}", "pauses")
        scene.sleep(SESSION_S + 0.2, SESSION_S + 2.0)
        paused.resume()
        scene.note("resume")
        if scene.random.random() < 0.5:
            scene.sleep(0.0, 0.5)
            owner.kill()
            scene.note(f"kill of {owner.name}", "kills")
            owner.start()
            owner.wait_ready()
    scene.conclude(raw=False)
