"""Rows that cannot be true: nobody's fault in the field, a defect of a program or a clock."""

from random import Random

from simulation.records import Row
from simulation.world.calendar import DAY_S, HOUR_S, moment
from simulation.world.company import Person, Site
from simulation.world.timeline import Timeline

_REFERENCE_WAIT_S = 600.0
"""A reference may be waited for."""
FIX_KINDS = ("the position 0, 0", "an accuracy below 0")
"""Of fixes that a database with typed columns takes, and that need not be waited for."""


def write_wrong_row(
    timeline: Timeline,
    rng: Random,
    site: Site,
    person: Person,
    at_s: float,
    *,
    stranger: Person | None = None,
    kinds: tuple[str, ...] = (),
) -> None:
    """Write one wrong row, of these kinds or of all, about a person of a site; `stranger` is of another tenant."""
    fix: Row = {
        "person_id": person.id,
        "device_id": None,
        "latitude": site.latitude,
        "longitude": site.longitude,
        "accuracy_m": 12.0,
        "speed_mps": 0.0,
        "is_mock": False,
        "recorded_at": moment(at_s),
    }
    job: Row = {"person_id": person.id, "job_type": "TASK", "title": "Check the boiler", "status": "ASSIGNED"}
    done: Row = {"status": "COMPLETED", "started_at": moment(at_s), "completed_at": moment(at_s - HOUR_S)}
    scanned: Row = {"checkpoints_expected": 5, "checkpoints_scanned": -3}
    wrong: dict[str, tuple[str, Row]] = {
        "a latitude of 95": ("location", fix | {"latitude": 95.0}),
        "the position 0, 0": ("location", fix | {"latitude": 0.0, "longitude": 0.0}),
        "no longitude": ("location", fix | {"longitude": None}),
        "no position": ("location", fix | {"latitude": None, "longitude": None}),
        "an accuracy below 0": ("location", fix | {"accuracy_m": -5.0}),
        "a fix from the day after tomorrow": ("location", fix | {"recorded_at": moment(at_s + 2 * DAY_S)}),
        "a latitude in words": ("location", fix | {"latitude": "north"}),
        "completed before it was started": ("jobneed", job | done),
        "fewer checkpoints than none scanned": ("jobneed", job | scanned),
        "a status of its own": ("ticket", {"status": "FOO", "priority": "LOW"}),
        "a battery at 940 percent": ("device", {"battery_percent": 940.0, "status": "ONLINE"}),
        "a deadline in words": ("work_order", {"status": "OPEN", "due_at": "soon"}),
    }
    if stranger is not None:
        wrong["another tenant's person"] = ("location", fix | {"person_id": stranger.id})
    what = rng.choice(kinds or tuple(wrong))
    table, columns = wrong[what]
    entry = timeline.insert(table, site.tenant_id, at_s, site_id=site.id, **columns)
    about = [f"{table}:{entry.row_id}"]
    timeline.label("DATA_QUALITY", site.tenant_id, about, at_s, what, after_s=_REFERENCE_WAIT_S)
