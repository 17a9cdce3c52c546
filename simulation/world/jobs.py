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


@dataclass(slots=True)
class Job:
    """A task or a tour, and how it will go."""

    site: Site
    person: Person
    title: str
    planned_s: float
    due_s: float
    started_s: float
    takes_s: float
    checkpoints: int = 0
    """0 for a task."""
    skipped: int = 0
    """Of the checkpoints."""
    moved_to_s: float | None = None
    """A later deadline, entered at the planned start."""
    is_cancelled: bool = False
    """At its planned start."""
    is_started: bool = True
    is_finished: bool = True
    uploaded_after_s: float = _UPLOAD_S
    """From completion until the row says so."""

    @property
    def done_s(self) -> float:
        """When the row says that it is done or cancelled; infinite: never."""
        if self.is_cancelled:
            return self.planned_s
        is_done = self.is_started and self.is_finished
        return self.started_s + self.takes_s + self.uploaded_after_s if is_done else math.inf


def usual_duration_s(rng: Random, site: Site, minutes: float) -> float:
    """How long a job takes that takes so many minutes on average; some sites are larger than others."""
    larger = 0.8 + 0.07 * (site.id % 7)
    return minutes * MINUTE_S * larger * math.exp(_SPREAD * max(-_SPREAD_MAX, min(_SPREAD_MAX, rng.gauss(0, 1))))


def write_job(timeline: Timeline, job: Job, assigned_s: float, written_s: float = 0.0) -> list[str]:
    """Write a job's row and its changes, and the labels of what is wrong; returns what a finding may be about.

    It is given out at `assigned_s`; what happened before `written_s` is in the row when it is first written.
    """
    new: Row = {
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
    }
    steps = [(assigned_s, new)]
    due_s = job.due_s
    if job.moved_to_s is not None:
        due_s = job.moved_to_s
        steps.append((job.planned_s, {"due_at": moment(due_s)}))
    if job.is_cancelled:
        steps.append((job.done_s, {"status": "CANCELLED"}))
    elif job.is_started:
        began_s = job.started_s + _UPLOAD_S
        steps.append((began_s, {"status": "IN_PROGRESS", "started_at": moment(job.started_s)}))
        for scanned in range(1, job.checkpoints - job.skipped + 1):
            share = scanned / (job.checkpoints + 1)
            steps.append((began_s + share * job.takes_s, {"checkpoints_scanned": scanned}))
        if job.is_finished:
            done = {"status": "COMPLETED", "completed_at": moment(job.started_s + job.takes_s)}
            steps.append((job.done_s, done))
    tenant_id = job.site.tenant_id
    about = [f"jobneed:{timeline.follow('jobneed', tenant_id, steps, written_s)}"]
    if job.done_s > due_s:
        timeline.label_overdue("TASK_OVERDUE", tenant_id, about[0], due_s)
        if job.done_s < math.inf:  # past its deadline, which may have taken it oddly long
            timeline.label("UNUSUAL_COMPLETION_TIME", tenant_id, about, job.done_s, "late", required=False)
    if job.skipped:
        note = f"{job.skipped} of {job.checkpoints} checkpoints skipped"
        timeline.label("CHECKPOINTS_SKIPPED", tenant_id, about, job.done_s, note)
    return about
