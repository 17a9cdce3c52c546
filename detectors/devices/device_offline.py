"""DEVICE_OFFLINE: a device that says it is offline, or that was not seen for too long."""

import msgspec

from contracts.findings import Category, FindingType, Severity
from contracts.rows import Device
from detectors.finding_draft import FindingDraft
from detectors.interface import NOTHING, AbsenceDetector, Entity, Event, FindingDrafts
from detectors.policy import Factor, Minutes, Policy, PositiveMinutes

OFFLINE = "OFFLINE"
INTERVAL_WEIGHT = 0.125
"""Of the newest interval in the mean, as TCP smooths its round trips (RFC 6298)."""


class DeviceOfflinePolicy(Policy, frozen=True, kw_only=True):
    """How long a device may be silent: the longer of the two."""

    silent_minutes_max: PositiveMinutes = 15.0
    """Minutes of silence, however often the device reports."""
    silent_intervals_max: Factor = 3.0
    """As a multiple of the device's usual interval between two times that it is seen: a device that reports once an hour
    is not offline after 15 minutes. 0: only the minutes count."""
    interval_minutes_max: Minutes = 120.0
    """A longer interval was an outage and is not learned from."""


class WatchedDevice(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A device that was seen. 110 bytes in memory, 17 in the changelog."""

    last_seen_ms: int | None
    interval_ms: int = 0
    """Its usual interval, smoothed; 0 before it is known."""
    offline: bool = False
    """Its status is OFFLINE."""
    reported: bool = False
    """This outage was reported."""


class DeviceOffline(AbsenceDetector):
    """The status becomes OFFLINE, or `last_seen + max(silent_minutes_max, silent_intervals_max * interval)` has passed.

    `interval` is the smoothed time between two times that the device is seen: i += (observed - i) / 8 (RFC 6298). An
    outage is reported once, whichever sign of it comes first; it is over when the device is seen again, or when its
    status changes from OFFLINE to another, which counts as seen. A device that was never seen is judged by its status
    alone.

    >>> detector, policy = DeviceOffline(), DeviceOfflinePolicy()
    >>> state = WatchedDevice(last_seen_ms=0, interval_ms=600_000)
    >>> detector.due_ms(state, policy) == 30 * 60_000
    True
    >>> state, (draft,) = detector.expire(state, 1_800_000, policy)
    >>> draft.evidence["reason"], draft.evidence["observed_minutes"], draft.evidence["threshold"]
    ('silent', 30.0, 30.0)
    """

    name = "device_offline"
    tables = ("device",)
    entity = Entity.ROW
    state_type = WatchedDevice
    policy = DeviceOfflinePolicy()

    def judge(
        self, state: WatchedDevice | None, event: Event[Device], policy: DeviceOfflinePolicy
    ) -> tuple[WatchedDevice | None, FindingDrafts]:
        """The finding where the status has become OFFLINE; otherwise when the device was seen."""
        row, now_ms = event.row, event.now_us // 1000
        offline = row.status == OFFLINE
        seen_ms = None if row.last_seen is None else min(round(row.last_seen.timestamp() * 1000), now_ms)
        if state is None:
            state = WatchedDevice(None)
        last_ms, interval_ms, reported = state.last_seen_ms, state.interval_ms, state.reported
        if state.offline and not offline:
            seen_ms, reported = now_ms, False
        if seen_ms is not None and (last_ms is None or seen_ms > last_ms):
            if last_ms is not None and not state.offline and seen_ms - last_ms <= policy.interval_minutes_max * 60_000:
                gap_ms = seen_ms - last_ms
                interval_ms = round(interval_ms + (gap_ms - interval_ms) * INTERVAL_WEIGHT) if interval_ms else gap_ms
            last_ms = seen_ms
            reported = reported and offline
        if not offline or reported:
            after = WatchedDevice(last_ms, interval_ms, offline, reported)
            return state if after == state else after, NOTHING
        silent_ms = None if last_ms is None else now_ms - last_ms
        draft = _draft("status", "reports that it is offline", silent_ms, None, interval_ms)
        return WatchedDevice(last_ms, interval_ms, offline=True, reported=True), (draft,)

    def due_ms(self, state: WatchedDevice, policy: DeviceOfflinePolicy) -> int | None:
        """When the device will have been silent for too long; None where that was reported."""
        if state.reported or state.offline or state.last_seen_ms is None:
            return None
        return state.last_seen_ms + _silent_ms_max(state, policy)

    def expire(
        self, state: WatchedDevice, at_ms: int, policy: DeviceOfflinePolicy
    ) -> tuple[WatchedDevice | None, FindingDrafts]:
        """The device is silent."""
        last_ms = at_ms if state.last_seen_ms is None else state.last_seen_ms
        what = f"was last seen {_minutes(at_ms - last_ms):g} minutes ago"
        draft = _draft("silent", what, at_ms - last_ms, _silent_ms_max(state, policy), state.interval_ms)
        return msgspec.structs.replace(state, reported=True), (draft,)


def _silent_ms_max(state: WatchedDevice, policy: DeviceOfflinePolicy) -> int:
    return round(max(policy.silent_minutes_max * 60_000, policy.silent_intervals_max * state.interval_ms))


def _minutes(span_ms: int) -> float:
    return round(span_ms / 60_000, 3)


def _draft(reason: str, what: str, observed_ms: int | None, threshold_ms: int | None, interval_ms: int) -> FindingDraft:
    return FindingDraft(
        finding_type=FindingType.DEVICE_OFFLINE,
        category=Category.DEVICE_HEALTH,
        severity=Severity.HIGH,
        title="A device is offline at {site_name}",
        description=f"The device {what}.",
        evidence={
            "reason": reason,
            "observed_minutes": None if observed_ms is None else _minutes(observed_ms),
            "interval_minutes": _minutes(interval_ms),
            "threshold": None if threshold_ms is None else _minutes(threshold_ms),
        },
    )


DETECTOR = DeviceOffline()
