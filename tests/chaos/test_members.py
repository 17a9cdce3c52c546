"""Several workers: killed, added, removed, also while the group is still deciding who owns what."""

import pytest
from chaos.scene import Scene, chosen
from chaos.workers import Worker

pytestmark = pytest.mark.timeout(1_800)


def test_one_of_two_is_killed(scene: Scene) -> None:
    """Back at once under its name, or after its session, when the other has taken over; then it is killed again."""
    workers = scene.begin(2, chosen("RATE", 2_000, 2_000))
    for kill in range(int(chosen("KILLS", 4, 20))):
        scene.sleep(0.5, 2.0)
        victim = scene.random.choice(workers)
        victim.kill()
        scene.note(f"kill {kill} of {victim.name}", "kills")
        if scene.random.random() < 0.5:
            scene.sleep(2.5, 4.0)  # longer than the session
        victim.start()
        if scene.random.random() < 0.5:
            scene.sleep(0.8, 2.0)  # its return makes the group decide anew
            victim.kill()
            scene.note(f"kill of {victim.name} while the group decides", "kills while deciding")
            victim.start()
        victim.wait_ready()
    scene.conclude(raw=True)


def test_workers_come_and_go(scene: Scene) -> None:
    """Up to three at a time, stopped in order or killed."""
    workers: list[Worker] = scene.begin(1, chosen("RATE", 2_000, 2_000))
    workers += [scene.worker(), scene.worker()]
    for _ in range(int(chosen("CHANGES", 6, 30))):
        worker = scene.random.choice(workers)
        running = [each for each in workers if each.running]
        if not worker.running:
            worker.start()
            scene.note(f"{worker.name} starts", "starts")
        elif len(running) == 1:
            continue
        elif scene.random.random() < 0.6:
            worker.wait_ready()
            worker.stop()
            scene.note(f"{worker.name} stops", "stops")
        else:
            worker.kill()
            scene.note(f"{worker.name} is killed", "kills")
        scene.sleep(0.5, 4.0)
    scene.conclude(raw=True)
