"""A job is labelled by what becomes of it."""

from random import Random

import pytest

from simulation.labelled.company import build_companies
from simulation.world.jobs import Job, usual_duration_s, write_job
from simulation.world.timeline import Timeline

TENANT = build_companies(1, 1)[0]


def job(**more: object) -> Job:
    site = TENANT.sites[0]
    values: dict[str, object] = {"planned_s": 1_000.0, "due_s": 9_000.0, "started_s": 1_200.0, "takes_s": 600.0}
    return Job(site, TENANT.staff[site.id][0], "Tour", **(values | more))  # type: ignore[arg-type]


def written(made: Job, written_s: float = 0.0) -> tuple[list[tuple[str, object]], list[tuple[str, bool]]]:
    timeline = Timeline()
    write_job(timeline, made, made.planned_s - 100, written_s)
    rows = [(change.op, (change.after or {})["status"]) for change in timeline.take(1e6)]
    return rows, [(label.finding_type, label.required) for label in timeline.labels]


def test_a_job_that_goes_as_planned_has_no_label() -> None:
    rows, labels = written(job(checkpoints=3))
    assert rows == [("c", "ASSIGNED"), *[("u", "IN_PROGRESS")] * 4, ("u", "COMPLETED")]
    assert labels == []


@pytest.mark.parametrize(
    ("more", "labels"),
    [
        ({"due_s": 1_500.0}, [("TASK_OVERDUE", True), ("UNUSUAL_COMPLETION_TIME", False)]),
        ({"is_started": False}, [("TASK_OVERDUE", True)]),
        ({"is_finished": False}, [("TASK_OVERDUE", True)]),
        ({"due_s": 1_500.0, "moved_to_s": 5_000.0}, []),
        ({"due_s": 1_500.0, "is_cancelled": True}, []),
        ({"checkpoints": 5, "skipped": 2}, [("CHECKPOINTS_SKIPPED", True)]),
    ],
)
def test_what_is_wrong_follows_from_what_happens(more: dict[str, object], labels: list[tuple[str, bool]]) -> None:
    assert written(job(**more))[1] == labels


def test_a_job_that_the_database_hears_of_when_it_is_done_is_one_row() -> None:
    made = job(checkpoints=5, skipped=2)
    assert written(made, made.done_s)[0] == [("c", "COMPLETED")]


def test_durations_vary_by_a_fifth_around_what_is_usual_at_the_site() -> None:
    site, rng = TENANT.sites[0], Random(2)
    minutes = sorted(usual_duration_s(rng, site, 30.0) / 60 for _ in range(999))
    middle = minutes[499]
    assert 0.75 * 30 < middle < 1.25 * 30
    assert 0.7 < minutes[100] / middle < 0.85
    assert minutes[-1] / middle < 1.8
