"""ANOMALY_PHONE_EVENTS_BELOW, _ABOVE: a phone that sends far less or far more in an hour than is usual at that hour."""

import msgspec

from contracts.rows import Attendance, Location
from detectors.devices.helpers.phone_baseline import (
    PhoneBaseline,
    PhoneEventsPolicy,
    SharedPhoneBaseline,
    draft_of,
    pooled_with,
    score_of,
    updated_baseline,
    updated_shared,
)
from detectors.devices.helpers.phone_hours import HOUR_MS, PhoneHours, first_hours, with_event
from detectors.interface import NOTHING, BaselineDetector, Entity, Event, FindingDrafts, Learned, SpanEnd
from detectors.shared.hour_of_week import hour_of_week, offset_within_hour_s

POOLING_MS = 60_000
"""From the time at which each phone of a site adds its hour to the site's pool to the time at which it is judged by it."""


class PhoneEvents(BaselineDetector):
    """z = (anscombe(observed) - expected) / sigma of the hour's events, anscombe(x) = 2 sqrt(x + 3/8) (Anscombe 1948).

    An event is a new row of location or attendance that names the device, counted in the hour in which it happened
    (`recorded_at`, `occurred_at`), so that a phone which uploads late fills the hour in which it was without a network.
    An hour is judged `late_upload_minutes` after its end; an hour in which the phone seems to have been silent only when
    something arrives from it again, or after another `late_upload_hours_max`.

    *Expected*: the median of the last five clean weeks of this hour of the week, in the site's time zone, drawn
    to the tenant's mean at that hour while there are few (Efron and Morris 1975). *Sigma*: the device's robust scale
    of residuals (Huber 1964) with the hour's own median absolute deviation, the uncertainty of `expected`, and not below
    `sigma_min`. ABOVE is measured against the device's usual busy hour where that is more, so that a shift at an unusual
    time is not ABOVE.

    *Learning*: nothing is reported about a device for `weeks_min` weeks, nor about an hour of the week with fewer counts.
    What was scored anomalous is not learned. A Page-Hinkley test over the scores of hours with events makes the device
    learn anew when its habits have changed for days.

    *Reported* once an episode: again after an hour that was as expected. BELOW needs an hour with a quarter of the usual
    events, or two in a row with half of them. It is not reported where most other phones of the site that were expected
    (of the tenant, where the site has too few) are low too: a holiday, a site without a network. Hours in which the
    device is not usually used are never BELOW.

    State, bytes in memory and encoded: the open hours of a device 310 and 21, changed by every event; its baseline
    2,230 and 1,770, a tenant's 3,030 and 1,750, a site's 1,350 and 70, changed once or twice an hour.

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
    shared_type = SharedPhoneBaseline
    policy = PhoneEventsPolicy()

    def judge(
        self, state: PhoneHours | None, event: Event[Location | Attendance], policy: PhoneEventsPolicy
    ) -> tuple[PhoneHours | None, FindingDrafts]:
        """No finding, but one more event: an hour is judged when it is over."""
        if event.op != "c":
            return state, NOTHING
        row = event.row
        at = row.recorded_at if type(row) is Location else row.occurred_at  # type: ignore[union-attr]  # mypy does not narrow by `type`
        now_s = event.now_us / 1e6
        if state is None:
            return first_hours(now_s, 0 if event.site is None else offset_within_hour_s(event.site.timezone)), NOTHING
        return with_event(state, now_s if at is None else event.at_s or at.timestamp(), now_s), NOTHING

    def due_ms(self, state: PhoneHours, policy: PhoneEventsPolicy) -> int | None:
        """The end of the first open hour, and the time to wait for late uploads."""
        waited_ms = round(policy.late_upload_minutes * 60_000) + state.waited_hours * HOUR_MS
        return state.start_s * 1000 + HOUR_MS + waited_ms + (POOLING_MS if state.pooled else 0)

    def conclude(
        self, state: PhoneHours, learned: Learned, end: SpanEnd, policy: PhoneEventsPolicy
    ) -> tuple[PhoneHours | None, Learned, FindingDrafts]:
        """First add the hour to the pools of site and tenant; the next time judge and learn it and go to the next hour."""
        hour, count = state.hour, state.count
        if state.start_s - state.heard_s > policy.silent_days_max * 86_400:
            return None, learned, NOTHING
        timezone = end.site.timezone if end.site is not None else "UTC"
        own = learned.own or PhoneBaseline(hour)
        tenant = learned.tenant or SharedPhoneBaseline()
        score = score_of(own, tenant, hour, hour_of_week(state.start_s, timezone), count, policy)
        if score.judged and score.busy and not state.pooled:
            low = score.below
            site = pooled_with(learned.site or SharedPhoneBaseline(), hour, low=low) if end.site is not None else None
            after = msgspec.structs.replace(state, pooled=True)
            return after, Learned(own, site, pooled_with(tenant, hour, low=low)), NOTHING
        if score.below and not state.heard_since and state.waited_hours < policy.late_upload_hours_max:
            return state.waiting(), learned, NOTHING
        drafts: FindingDrafts = NOTHING
        reported = own.reported
        everybody = score.below and _widespread(learned.site, tenant, hour, policy)
        if score.judged and not everybody:
            side = -1 if score.below else 1 if score.above else 0
            if side and side != reported:
                drafts = (draft_of(score, side, end.entity_id, state.start_s, timezone, policy),)
            if side or score.ends_episode:
                reported = side
        clean = not (score.below or score.above or everybody or (score.low and own.reported < 0))
        own = updated_baseline(own, hour, score, reported, policy, clean=clean)
        if clean:
            tenant = updated_shared(tenant, score)
        return state.next(), Learned(own, learned.site, tenant), drafts


def _widespread(
    site: SharedPhoneBaseline | None, tenant: SharedPhoneBaseline, hour: int, policy: PhoneEventsPolicy
) -> bool:
    """Whether most of the other phones that were expected are low too, at the site or otherwise in the tenant."""
    for shared, others_min in ((site, policy.site_others_min), (tenant, policy.tenant_others_min)):
        if shared is not None:
            expected, low = shared.pool(hour)
            others, others_low = expected - 1, low - 1
            if others >= others_min:
                return others_low >= policy.widespread_share_min * others
    return False


DETECTOR = PhoneEvents()
