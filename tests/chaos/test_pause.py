"""A worker that stands still past its session and wakes up: harmless to readers by the rule and to the state."""

import pytest
from chaos.scene import Scene, chosen

pytestmark = pytest.mark.timeout(1_800)
SESSION_S = 2.0


def test_one_of_two_is_paused_past_its_session(scene: Scene) -> None:
    """SIGSTOP at random points, SIGCONT after the other has taken over."""
    workers = scene.begin(2, chosen("RATE", 2_000, 2_000))
    for pause in range(int(chosen("PAUSES", 3, 25))):
        scene.sleep(0.3, 2.5)
        paused = scene.random.choice(workers)
        paused.pause()
        scene.note(f"pause {pause} of {paused.name}", "pauses")
        scene.sleep(SESSION_S + 0.2, SESSION_S + 2.5)
        paused.resume()
        scene.note("resume")
    verdict = scene.conclude(raw=False)
    assert verdict.counts["takeovers"] > 8, "nobody took anything over"


def test_the_owner_is_killed_when_the_paused_one_wakes_up(scene: Scene) -> None:
    """Late writes of the old owner and a crash of the new one at the same moment."""
    workers = scene.begin(2, chosen("RATE", 2_000, 2_000))
    for pause in range(int(chosen("PAUSES", 3, 25))):
        scene.sleep(0.3, 2.0)
        paused, owner = scene.random.sample(workers, 2)
        paused.pause()
        scene.note(f"pause {pause} of {paused.name}", "pauses")
        scene.sleep(SESSION_S + 0.2, SESSION_S + 1.5)
        paused.resume()
        scene.sleep(0.0, 0.3)
        owner.kill()
        scene.note(f"resume, kill of {owner.name}", "kills")
        owner.start()
        owner.wait_ready()
    scene.conclude(raw=False)
