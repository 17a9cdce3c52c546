"""kill -9 of the only worker: nothing lost, nothing twice, not even in the topic itself."""

import pytest
from chaos.acts import kill_at_random_points
from chaos.scene import Scene, chosen, long_form

pytestmark = [pytest.mark.timeout(1_800), long_form]


def test_kills_at_random_points(scene: Scene) -> None:
    """Under load, and again while it recovers."""
    (worker,) = scene.begin(1, chosen("RATE", 2_000, 2_000))
    kill_at_random_points(scene, worker, int(chosen("KILLS", 5, 50)))
    verdict = scene.conclude(raw=True)
    assert verdict.counts["takeovers"] >= 4, "no recovery was seen"
    assert min(verdict.counts[name] for name in ("anomaly_detected", "ticket_updated", "rate_limited")) > 0
