"""Tasks and tours: given out, begun, checkpoint after checkpoint, and done; late or incomplete where that is planned."""

import math
from dataclasses import dataclass
from random import Random

from simulation.records import Row
from simulation.world.calendar import MINUTE_S, moment
from simulation.world.company import Person, Site
from simulation.world.timeline import Timeline

_SPREAD, _SPREAD_MAX = 0.2, 2.6
"""Standard deviation of the logarithm of a duration, and how many of it at the most."""
_UPLOAD_S = 1.0
_OVERDUE_REPORTED_WITHIN_S = 10 * MINUTE_S


@dataclass(slots=True)
class Job:
    """A task or a tour, and how it will go."""

    site: Site
    person: Person
    title: str
    planned_s: float
    due_s: float
    started_s: float | None
    """None: never."""
    takes_s: float
    checkpoints: int = 0
    """0 for a task."""
    skipped: int = 0
    """Of the checkpoints."""
    moved_to_s: float | None = None
    """A later deadline, entered when the job was to begin."""
    is_cancelled: bool = False
    """When it was to begin."""
    is_finished: bool = True
    uploaded_after_s: float = _UPLOAD_S
    """So long after it was done the row says so."""


def usual_duration_s(rng: Random, site: Site, minutes: float) -> float:
    """How long a job takes that takes so many minutes on average; some sites are larger than others."""
    larger = 0.8 + 0.07 * (site.id % 7)
    return minutes * MINUTE_S * larger * math.exp(_SPREAD * max(-_SPREAD_MAX, min(_SPREAD_MAX, rng.gauss(0, 1))))


def write_job(timeline: Timeline, job: Job, assigned_s: float, written_s: float = 0.0) -> int:
    """Write a job's row and its changes, and the labels of what is wrong with it.

    Args:
        timeline: where they go.
        job: which.
        assigned_s: when it was given out.
        written_s: when the database hears of it first; what was before is in the row then.

    Returns:
        The row's id.
    """
    steps: list[tuple[float, Row]] = [
        (
            assigned_s,
            {
                "site_id": job.site.id,
                "person_id": job.person.id,
                "job_type": "TOUR" if job.checkpoints else "TASK",
                "title": job.title,
                "status": "ASSIGNED",
                "planned_start": moment(job.planned_s),
                "due_at": moment(job.due_s),
                "started_at": None,
                "completed_at": None,
                "checkpoints_expected": job.checkpoints or None,
                "checkpoints_scanned": 0 if job.checkpoints else None,
            },
        )
    ]
    due_s, done_s = job.due_s, math.inf
    if job.moved_to_s is not None:
        due_s = job.moved_to_s
        steps.append((job.planned_s, {"due_at": moment(due_s)}))
    if job.is_cancelled:
        done_s = job.planned_s
        steps.append((done_s, {"status": "CANCELLED"}))
    elif job.started_s is not None:
        started_s = job.started_s
        steps.append((started_s + _UPLOAD_S, {"status": "IN_PROGRESS", "started_at": moment(started_s)}))
        scanned = job.checkpoints - job.skipped
        for number in range(scanned):
            share = (number + 1) / (job.checkpoints + 1)
            steps.append((started_s + _UPLOAD_S + share * job.takes_s, {"checkpoints_scanned": number + 1}))
        if job.is_finished:
            done_s = started_s + job.takes_s + job.uploaded_after_s
            done = {"status": "COMPLETED", "completed_at": moment(started_s + job.takes_s)}
            steps.append((done_s, done))
    row_id = timeline.follow("jobneed", job.site.tenant_id, steps, written_s)
    _label(timeline, job, f"jobneed:{row_id}", due_s, done_s)
    return row_id


def _label(timeline: Timeline, job: Job, about: str, due_s: float, done_s: float) -> None:
    tenant_id = job.site.tenant_id
    if done_s > due_s:
        timeline.label(
            "TASK_OVERDUE", tenant_id, [about], due_s, "not done by then", before_s=0.0,
            after_s=_OVERDUE_REPORTED_WITHIN_S, exact=True,
        )  # fmt: skip
        # It ended past its deadline, which may have taken it oddly long.
        if done_s < math.inf:
            timeline.label("UNUSUAL_COMPLETION_TIME", tenant_id, [about], done_s, "late", required=False)
    if job.skipped and job.is_finished:
        note = f"{job.skipped} of {job.checkpoints} checkpoints skipped"
        timeline.label("CHECKPOINTS_SKIPPED", tenant_id, [about], done_s, note)
