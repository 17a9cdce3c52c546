"""The check-ins and check-outs of a shift, with what is special about it: wrong, or only looking so."""

from collections.abc import Sequence

from simulation.world.attendance import CHECK_IN, CHECK_OUT, Attendance
from simulation.world.calendar import HOUR_S, MINUTE_S
from simulation.world.company import Person
from simulation.world.geometry import offset
from simulation.world.phones import Network
from simulation.world.shifts import Shift, Special
from simulation.world.timeline import Entry

_ELSEWHERE_M = (450.0, 1_200.0)
"""Beyond the site's radius."""
_MISSING_S_MAX = 3 * HOUR_S
"""So long after the end of a shift it may be said that nobody checked out."""


def attend(
    attendance: Attendance,
    shift: Shift,
    network: Network,
    staff: Sequence[Person],
    helper: Person | None = None,
    *,
    by_phone: bool = False,
) -> None:
    """Write all checks of a shift by its presence, and the labels of what is wrong with them.

    Args:
        attendance: writes the rows.
        shift: whose presence says when the person comes and goes.
        network: of the person's phone.
        staff: who works there, for the camera to mistake one for another.
        helper: a colleague who begins at the same time, where what is special needs one.
        by_phone: the gate's reader is not used.
    """
    person, site = shift.person, shift.site

    def usual(kind: str, at_s: float) -> Entry:
        return attendance.usual(kind, site, person, at_s, network, by_phone=by_phone)

    shift.checks.append(_come(attendance, shift, network, staff, helper, by_phone=by_phone))
    for (_, away_s), (back_s, _) in zip(shift.presence, shift.presence[1:], strict=False):
        shift.checks += [usual(CHECK_OUT, away_s), usual(CHECK_IN, back_s)]
    in_s, out_s = shift.presence[0][0], shift.presence[-1][1]
    label, tenant_id = attendance.timeline.label, site.tenant_id
    about = [f"person:{person.id}"]
    if shift.special is Special.NO_CHECK_OUT:
        about.append(f"attendance:{shift.checks[0].row_id}")
        label("MISSING_CHECK_OUT", tenant_id, about, shift.end_s, "never out", before_s=0.0, after_s=_MISSING_S_MAX)
        return
    if shift.special is Special.CLOCK_SET_BACK:
        says_s, committed_s = in_s - attendance.rng.uniform(1, 3) * HOUR_S, network.committed_s(out_s)
        device_id = site.reader_id or network.phone_id
        wrong = attendance.check(CHECK_OUT, site, person, says_s, committed_s, device_id, verified_id=person.id)
        note = "a check-out before its check-in"
        label("DATA_QUALITY", tenant_id, [f"attendance:{wrong.row_id}"], committed_s, note)
        label(
            "MISSING_CHECK_OUT",
            tenant_id,
            about,
            shift.end_s,
            "its check-out is wrong",
            before_s=0.0,
            after_s=_MISSING_S_MAX,
            required=False,
        )
        return
    last = usual(CHECK_OUT, out_s)
    shift.checks.append(last)
    if shift.special is Special.LONG_DAY:
        about.append(f"attendance:{last.row_id}")
        label("OVERTIME_VIOLATION", tenant_id, about, last.at_s, f"{(out_s - in_s) / HOUR_S:.1f} hours in a day")
    elif shift.special is Special.FORGOTTEN_BAG:
        again_s = shift.end_s + attendance.rng.uniform(35, 50) * MINUTE_S
        usual(CHECK_IN, again_s)
        usual(CHECK_OUT, again_s + 4 * MINUTE_S)


def _come(
    attendance: Attendance,
    shift: Shift,
    network: Network,
    staff: Sequence[Person],
    helper: Person | None,
    *,
    by_phone: bool,
) -> Entry:
    """The first check-in."""
    person, site, at_s, rng = shift.person, shift.site, shift.presence[0][0], attendance.rng
    finding_type = note = ""
    match shift.special:
        case Special.BUDDY if helper is not None:
            return _helped(attendance, shift, helper)
        case Special.BORROWED_PHONE if helper is not None:
            return attendance.check(
                CHECK_IN, site, person, at_s, network.committed_s(at_s), helper.phone_id, verified_id=person.id
            )
        case Special.WRONG_FACE:
            finding_type, note = "WRONG_PERSON", "the face check recognised a colleague"
            entry = attendance.usual(CHECK_IN, site, person, at_s, network, by_phone=by_phone)
            entry.columns["verified_person_id"] = rng.choice([each.id for each in staff if each is not person])
        case Special.ELSEWHERE:
            finding_type, note = "UNEXPECTED_LOCATION", "from some streets away"
            off_m = offset(rng, site.radius_m + rng.uniform(*_ELSEWHERE_M))
            entry = attendance.check(
                CHECK_IN, site, person, at_s, network.committed_s(at_s), network.phone_id, verified_id=person.id,
                off_m=off_m,
            )  # fmt: skip
        case Special.LATE:
            finding_type, note = "LATE_CHECK_IN", f"{(at_s - shift.start_s) / MINUTE_S:.0f} min late"
            entry = attendance.usual(CHECK_IN, site, person, at_s, network, by_phone=by_phone)
        case _:
            entry = attendance.usual(CHECK_IN, site, person, at_s, network, by_phone=by_phone)
    if shift.special is Special.DOUBLE_TAP:
        attendance.usual(CHECK_IN, site, person, at_s + 3, network, by_phone=by_phone)
    if finding_type:
        about = [f"person:{person.id}", f"attendance:{entry.row_id}"]
        attendance.timeline.label(finding_type, site.tenant_id, about, entry.at_s, note)
    return entry


def _helped(attendance: Attendance, shift: Shift, helper: Person) -> Entry:
    """A colleague checks in, and with the same phone somebody who is not there yet."""
    in_s, site, label = shift.presence[0][0], shift.site, attendance.timeline.label
    again_s = in_s + attendance.rng.uniform(3, 8)
    # The helper's own check-in of that day, moved to just before: the roster has them begin together.
    attendance.check(CHECK_IN, site, helper, in_s, in_s + 0.8, helper.phone_id, verified_id=helper.id)
    entry = attendance.check(CHECK_IN, site, shift.person, again_s, again_s + 1.0, helper.phone_id)
    phone, helped = f"device:{helper.phone_id}", [f"person:{shift.person.id}", f"attendance:{entry.row_id}"]
    note = f"checked in with a colleague's phone, {again_s - in_s:.0f} s after the colleague"
    label("WRONG_PERSON", site.tenant_id, [*helped, phone, f"person:{helper.id}"], entry.at_s, note, after_s=30.0)
    label(
        "WRONG_PERSON",
        site.tenant_id,
        [phone],
        again_s,
        "who helped checks in again, as both do",
        before_s=10 * MINUTE_S,
        after_s=10 * MINUTE_S,
        required=False,
    )
    return entry
