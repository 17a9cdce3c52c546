"""Several workers: killed, added, removed, also while the group is still deciding who owns what."""

import pytest
from chaos.acts import come_and_go
from chaos.scene import UNSHAKEN_SESSION_S, Scene, chosen, long_form

pytestmark = pytest.mark.timeout(1_800)


@long_form
def test_one_of_two_is_killed(scene: Scene) -> None:
    """Back at once under its name, or after its session, when the other has taken over; then it is killed again."""
    workers = scene.begin(2, chosen("RATE", 2_000, 2_000), session_s=UNSHAKEN_SESSION_S)
    for kill in range(int(chosen("KILLS", 4, 20))):
        scene.let_pass(0.5, 2.0)
        victim = scene.random.choice(workers)
        victim.kill()
        scene.note(f"kill {kill} of {victim.name}", "kills")
        if scene.random.random() < 0.5:
            scene.let_pass(scene.session_s + 0.5, scene.session_s + 2.0)
        victim.start()
        if scene.random.random() < 0.5:
            scene.let_pass(0.8, 2.0)  # its return makes the group decide anew
            victim.kill()
            scene.note(f"kill of {victim.name} while the group decides", "kills while deciding")
            victim.start()
        victim.wait_ready()
    scene.conclude(raw=True)


def test_workers_come_and_go(scene: Scene) -> None:
    """Up to three at a time, stopped in order or killed."""
    workers = scene.begin(1, chosen("RATE", 2_000, 2_000), session_s=UNSHAKEN_SESSION_S)
    come_and_go(scene, [*workers, scene.worker(), scene.worker()], int(chosen("CHANGES", 6, 30)), pauses=0.0)
    scene.conclude(raw=True)


@long_form
def test_everything_at_once(scene: Scene) -> None:
    """Up to three workers: started, stopped, killed and paused past their session."""
    workers = scene.begin(1, chosen("RATE", 2_000, 2_000))
    come_and_go(scene, [*workers, scene.worker(), scene.worker()], int(chosen("CHANGES", 6, 30)), pauses=0.3)
    scene.conclude(raw=False)
