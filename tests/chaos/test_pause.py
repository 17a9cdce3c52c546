"""A worker that stands still past its session and wakes up: harmless to readers by the rule and to the state."""

import pytest
from chaos.acts import pause_past_the_session
from chaos.scene import Scene, chosen, long_form

pytestmark = [pytest.mark.timeout(1_800), long_form]


def test_one_of_two_is_paused_past_its_session(scene: Scene) -> None:
    """SIGSTOP at random points, SIGCONT after the other has taken over."""
    workers = scene.begin(2, chosen("RATE", 2_000, 2_000))
    pause_past_the_session(scene, workers, int(chosen("PAUSES", 3, 25)), kills=0.0)
    verdict = scene.conclude(raw=False)
    assert verdict.counts["takeovers"] > 8, "nobody took anything over"


def test_the_owner_is_killed_when_the_paused_one_wakes_up(scene: Scene) -> None:
    """Late writes of the old owner and a crash of the new one at the same moment."""
    workers = scene.begin(2, chosen("RATE", 2_000, 2_000))
    pause_past_the_session(scene, workers, int(chosen("PAUSES", 3, 25)), kills=1.0)
    scene.conclude(raw=False)
