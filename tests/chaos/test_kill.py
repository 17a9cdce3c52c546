"""kill -9 of the only worker: nothing lost, nothing twice, not even in the topic itself."""

import pytest
from chaos.scene import Scene, chosen

pytestmark = pytest.mark.timeout(1_800)


def test_kills_at_random_points(scene: Scene) -> None:
    """Under load, and again while it recovers."""
    (worker,) = scene.begin(1, chosen("RATE", 2_000, 2_000))
    for kill in range(int(chosen("KILLS", 5, 50))):
        scene.sleep(0.5, 3.0)
        worker.kill()
        scene.note(f"kill {kill}", "kills")
        while scene.random.random() < 0.4:
            worker.start()
            scene.sleep(0.2, 1.5)
            worker.kill()
            scene.note("kill while it recovers", "kills while recovering")
        worker.start()
        worker.wait_ready()
    verdict = scene.conclude(raw=True)
    assert verdict.counts["takeovers"] >= 4, "no recovery was seen"
    assert min(verdict.counts[name] for name in ("anomaly_detected", "ticket_updated", "rate_limited")) > 0
