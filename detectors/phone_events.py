"""ANOMALY_PHONE_EVENTS_BELOW, _ABOVE: a phone that sends far less or far more in an hour than it does at that hour."""

from contracts.rows import Attendance, Location
from detectors.hour_of_week import hour_of_week
from detectors.interface import NOTHING, Closing, Entity, Event, Judgements, Learned
from detectors.phone_baseline import (
    Crowd,
    PhoneBaseline,
    PhoneEventsPolicy,
    finding,
    learned_by,
    score_of,
    shared_by,
    with_presence,
)
from detectors.phone_hours import HOUR_MS, PhoneHours, counted

POOLING_MS = 60_000
"""Between the time at which the phones of a site say what they have, and the time at which they are judged by it."""


class PhoneEvents:
    """z = (steady(observed) - expected) / sigma of the hour's events, steady(x) = 2 sqrt(x + 3/8) (Anscombe 1948).

    An event is a new row of location or attendance that names the device, counted in the hour in which it happened
    (`recorded_at`, `occurred_at`), so that a phone which uploads late fills the hour in which it was without a network.
    An hour is judged `late_upload_minutes` after its end; one in which the phone seems to have been silent is
    waited for until the phone is heard again, at most `late_upload_hours_max`.

    *Expected*: the median of the last five clean weeks of this hour of the week, in the site's time zone, drawn
    to the tenant's mean at that hour while there are few (Efron and Morris 1975). *Sigma*: the device's robust scale
    of surprises (Huber 1964) with the hour's own median absolute deviation, the uncertainty of `expected`, and not
    under `sigma_min`. ABOVE is measured against the device's usual busy hour where that is more, so that a
    shift at an unusual time is no flood.

    *Learning*: nothing is told of a device for `weeks_min` weeks, nor of an hour of the week with fewer counts.
    What was scored anomalous is not learned. A Page-Hinkley test over the scores of hours with events resets the
    device to learning when its habits have changed for days.

    *Told* once an episode: again after an hour that was as expected. BELOW is not told where most other phones
    of the site that were expected (of the tenant, where the site has fewer than two) are low too: a holiday, a site
    without a network. Hours in which the device is not usually used are never BELOW.

    State, bytes in memory: the open hours of a device about 150, changed by every event; its baseline about
    1,900, a tenant's 1,800, a site's 200, changed once an hour.

    >>> detector, policy = PhoneEvents(), PhoneEventsPolicy()
    >>> fix = Location(id=1, tenant_id=1, device_id=7, recorded_at=None)
    >>> state, _ = detector.judge(None, Event(fix, 3_600_000_000 * 10), policy)
    >>> detector.due_ms(state, policy) == (12 + 1) * 3_600_000
    True
    """

    name = "phone_events"
    tables = ("location", "attendance")
    entity = Entity.DEVICE
    state_type = PhoneHours
    own_type = PhoneBaseline
    shared_type = Crowd
    policy = PhoneEventsPolicy()

    def judge(
        self, state: PhoneHours | None, event: Event[Location | Attendance], policy: PhoneEventsPolicy
    ) -> tuple[PhoneHours | None, Judgements]:
        """Only counts: an hour is judged when it is over."""
        if event.op != "c":
            return state, NOTHING
        row = event.row
        at = row.recorded_at if type(row) is Location else row.occurred_at  # type: ignore[union-attr]  # mypy does not narrow by `type`
        return counted(state, None if at is None else at.timestamp(), event.now_us), NOTHING

    def due_ms(self, state: PhoneHours, policy: PhoneEventsPolicy) -> int | None:
        """The first open hour's end, and what is waited for after it."""
        waited_ms = round(policy.late_upload_minutes * 60_000) + state.waited_hours * HOUR_MS
        return (state.first_hour + 1) * HOUR_MS + waited_ms + (POOLING_MS if state.pooled else 0)

    def conclude(
        self, state: PhoneHours, learned: Learned, closing: Closing, policy: PhoneEventsPolicy
    ) -> tuple[PhoneHours | None, Learned, Judgements]:
        """First say what the phone has to the site and the tenant, then judge and learn the hour and go to the next."""
        hour, count = state.first_hour, state.counts[0] if state.counts else 0
        if hour - state.heard_hour > policy.silent_days_max * 24:
            return None, learned, NOTHING
        timezone = closing.site.timezone if closing.site is not None else "UTC"
        own = learned.own or PhoneBaseline(hour)
        tenant = learned.tenant or Crowd()
        score = score_of(own, tenant, hour, hour_of_week(hour, timezone), count, policy)
        if score.judged and score.busy and not state.pooled:
            low = score.below
            site = with_presence(learned.site or Crowd(), hour, low=low) if closing.site is not None else None
            after = PhoneHours(hour, state.counts, state.heard_hour, state.waited_hours, pooled=True)
            return after, Learned(own, site, with_presence(tenant, hour, low=low)), NOTHING
        if score.below and state.heard_hour <= hour and state.waited_hours < policy.late_upload_hours_max:
            return state.waiting(), learned, NOTHING
        judgements: Judgements = NOTHING
        told = own.told
        everybody = score.below and _widespread(learned.site, tenant, hour, policy)
        if score.judged and not everybody:
            side = -1 if score.below else 1 if score.above else 0
            if side and side != told:
                judgements = (finding(score, side, closing.entity_id, hour, timezone, policy),)
            if side or score.busy:
                told = side
        clean = not (score.below or score.above or everybody)
        own = learned_by(own, hour, score, told, policy, clean=clean)
        if clean:
            tenant = shared_by(tenant, score)
        return state.next(), Learned(own, learned.site, tenant), judgements


def _widespread(site: Crowd | None, tenant: Crowd, hour: int, policy: PhoneEventsPolicy) -> bool:
    """Whether most of the others who were expected are low too, at the site or else in the tenant."""
    for crowd in (site, tenant):
        if crowd is not None:
            expected, low = crowd.presence(hour)
            others, others_low = expected - 1, low - 1
            if others >= policy.others_min:
                return others_low >= policy.widespread_share_min * others
    return False
