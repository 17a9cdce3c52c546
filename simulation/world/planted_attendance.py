"""The check-ins and check-outs of a shift, and the labels of what is wrong with them."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from simulation.world.attendance import CHECK_IN, CHECK_OUT, AttendanceWriter
from simulation.world.calendar import HOUR_S, MINUTE_S, moment
from simulation.world.company import Person
from simulation.world.geometry import offset
from simulation.world.phones import Network
from simulation.world.shifts import Shift, Special
from simulation.world.timeline import ScheduledChange

_FIRST_CHECK = {
    Special.LATE: ("LATE_CHECK_IN", "long after the start"),
    Special.WRONG_FACE: ("WRONG_PERSON", "the face check recognised a colleague"),
    Special.ELSEWHERE: ("UNEXPECTED_LOCATION", "from some streets away"),
}
"""What is wrong with the first check-in: finding type and note."""
_ELSEWHERE_M = (450.0, 1_200.0)
"""Beyond the site's radius."""
_MISSING_AFTER_S = 3 * HOUR_S
"""How long after the end of a shift a missing check-out may be found."""


def attend(
    attendance: AttendanceWriter, shift: Shift, network: Network, staff: Sequence[Person], helper: Person | None = None
) -> None:
    """Write all checks of a shift by its presence, and the labels of what is wrong with them.

    The camera may mistake the person for one of the staff; the helper begins at the same time.
    """

    def usual(kind: str, at_s: float) -> ScheduledChange:
        return attendance.usual(kind, shift.site, shift.person, at_s, network)

    if shift.special is Special.BUDDY and helper is not None:
        shift.checks.append(_helped(attendance, shift, helper))
    else:
        shift.checks.append(_come(attendance, shift, network, staff, helper))
    for (_, away_s), (back_s, _) in pairwise(shift.presence):
        shift.checks += [usual(CHECK_OUT, away_s), usual(CHECK_IN, back_s)]
    in_s, out_s = shift.presence[0][0], shift.presence[-1][1]
    if shift.special is Special.NO_CHECK_OUT:
        _label_missing(attendance, shift, "never out")
        return
    if shift.special is Special.CLOCK_SET_BACK:
        wrong = usual(CHECK_OUT, out_s)
        wrong.columns["occurred_at"] = moment(in_s - attendance.rng.uniform(1, 3) * HOUR_S)
        about = [f"attendance:{wrong.row_id}"]
        attendance.timeline.label(
            "DATA_QUALITY", shift.site.tenant_id, about, wrong.at_s, "a check-out before its check-in"
        )
        _label_missing(attendance, shift, "its check-out is wrong", required=False)
        return
    shift.checks.append(usual(CHECK_OUT, out_s))
    if shift.special is Special.LONG_DAY:
        note = f"{(out_s - in_s) / HOUR_S:.1f} hours in a day"
        attendance.label("OVERTIME_VIOLATION", shift.person, shift.checks[-1:], note)
    elif shift.special is Special.FORGOTTEN_BAG:
        again_s = shift.end_s + attendance.rng.uniform(35, 50) * MINUTE_S
        usual(CHECK_IN, again_s)
        usual(CHECK_OUT, again_s + 4 * MINUTE_S)


def _come(
    attendance: AttendanceWriter, shift: Shift, network: Network, staff: Sequence[Person], helper: Person | None
) -> ScheduledChange:
    """The first check-in."""
    person, site, at_s, rng = shift.person, shift.site, shift.presence[0][0], attendance.rng
    off_m = (0.0, 0.0)
    if shift.special is Special.BORROWED_PHONE and helper is not None:
        network = replace(network, phone_id=helper.phone_id)
    elif shift.special is Special.ELSEWHERE:
        network = replace(network, uses_reader=False)
        off_m = offset(rng, site.radius_m + rng.uniform(*_ELSEWHERE_M))
    entry = attendance.usual(CHECK_IN, site, person, at_s, network, off_m=off_m)
    if shift.special is Special.WRONG_FACE:
        entry.columns["verified_person_id"] = rng.choice([each.id for each in staff if each is not person])
    elif shift.special is Special.DOUBLE_TAP:
        attendance.usual(CHECK_IN, site, person, at_s + 3, network)
    if shift.special in _FIRST_CHECK:
        finding_type, note = _FIRST_CHECK[shift.special]
        attendance.label(finding_type, person, [entry], note)
    return entry


def _helped(attendance: AttendanceWriter, shift: Shift, helper: Person) -> ScheduledChange:
    """A colleague checks in and then, with the same phone, checks in somebody who is not there yet."""
    in_s, site, label = shift.presence[0][0], shift.site, attendance.timeline.label
    again_s = in_s + attendance.rng.uniform(3, 8)
    # The helper's own check-in of that day, moved to just before: the roster has them begin together.
    attendance.check(CHECK_IN, site, helper, in_s, in_s + 0.8, helper.phone_id, verified_id=helper.id)
    entry = attendance.check(CHECK_IN, site, shift.person, again_s, again_s + 1.0, helper.phone_id)
    phone = f"device:{helper.phone_id}"
    about = [f"person:{shift.person.id}", f"attendance:{entry.row_id}", phone, f"person:{helper.id}"]
    note = f"checked in with a colleague's phone, {again_s - in_s:.0f} s after the colleague"
    label("WRONG_PERSON", site.tenant_id, about, entry.at_s, note, after_s=30.0)
    note, within_s = "who helped checks in again, as both do", 10 * MINUTE_S
    label("WRONG_PERSON", site.tenant_id, [phone], again_s, note, before_s=within_s, after_s=within_s, required=False)
    return entry


def _label_missing(attendance: AttendanceWriter, shift: Shift, note: str, *, required: bool = True) -> None:
    about = [f"person:{shift.person.id}", f"attendance:{shift.checks[0].row_id}"]
    attendance.timeline.label(
        "MISSING_CHECK_OUT", shift.site.tenant_id, about, shift.end_s, note,
        before_s=0.0, after_s=_MISSING_AFTER_S, required=required,
    )  # fmt: skip
