"""Who has looked at which finding: the newest findings, who may see them, and marks from here and elsewhere.

Owns what may be marked, so that nobody marks what is not theirs, and the notices about CRITICAL findings. No I/O.
"""

from collections.abc import Sequence
from typing import NamedTuple

from contracts.feed import AnomalyDetected
from contracts.findings import Severity
from contracts.receipts import ReceiptBatch, Run, SeenMark
from gateway.access.scope import Scope
from gateway.delivery.unseen_critical import CriticalMessage, Notice, UnseenCritical
from gateway.feed.hub import Hub
from gateway.feed.rendering import FeedEntry
from gateway.metrics import GatewayMetrics

_EARLY_MAX = 1_000
"""Findings with marks of other gateways that this gateway has not read yet."""
_EARLY_MARKS_MAX = 20
"""Of one such finding."""


class _Visibility(NamedTuple):
    """The client and site of a finding, which decide who may see it."""

    client_id: int | None
    site_id: int | None


class SeenFindings:
    """The newest findings of all tenants, and who has looked at the CRITICAL ones.

    Args:
        ids_max: findings that are known, of all tenants together.
    """

    def __init__(self, hub: Hub, unseen: UnseenCritical, metrics: GatewayMetrics, ids_max: int) -> None:
        self._hub = hub
        self._unseen = unseen
        self._metrics = metrics
        self._ids_max = ids_max
        self._known: dict[tuple[int, str], _Visibility] = {}
        """By tenant and id."""
        self._early: dict[tuple[int, str], list[SeenMark]] = {}

    def learn(self, entries: Sequence[FeedEntry], *, live: bool) -> None:
        """Take note of records. Live ones were written just now, others were shown when the log took them."""
        now = self._hub.clock()
        for entry in entries:
            record = entry.record
            if not isinstance(record, AnomalyDetected):
                continue
            for finding in record.findings:
                key = (record.tenant_id, finding.id)
                self._known[key] = _Visibility(record.client_id, record.site_id)
                if finding.severity is Severity.CRITICAL:
                    since = now if live else entry.stored.timestamp_ms / 1000
                    self._unseen.add(CriticalMessage(*key, record.seq, *self._known[key], since), now)
                for mark in self._early.pop(key, ()):
                    self.mark(record.tenant_id, mark)
        while len(self._known) > self._ids_max:
            del self._known[next(iter(self._known))]

    def visible(self, tenant_id: int, identifier: str, scope: Scope) -> bool:
        """Whether a finding is known and a subscription shows it."""
        found = self._known.get((tenant_id, identifier))
        return found is not None and scope.shows(found.client_id, found.site_id)

    def mark(self, tenant_id: int, mark: SeenMark) -> None:
        """Somebody has looked at a finding; of a CRITICAL one all are notified who may see it.

        Nothing follows where that somebody can do no more than look: a program would keep everybody from being notified.
        """
        if not mark.may_act:
            return
        notice = self._unseen.seen(tenant_id, mark.id, mark.user, mark.at, self._hub.clock())
        if notice is not None:
            self._notify(notice, "seen")

    def take_marks(self, batch: ReceiptBatch) -> None:
        """A record of another gateway: what was looked at there counts here."""
        for mark in batch.seen:
            if not mark.may_act:
                continue
            key = (batch.tenant_id, mark.id)
            if key in self._known:
                self.mark(batch.tenant_id, mark)
            else:  # its message may be read a moment later
                marks = self._early.setdefault(key, [])
                if len(marks) < _EARLY_MARKS_MAX:
                    marks.append(mark)
        while len(self._early) > _EARLY_MAX:
            del self._early[next(iter(self._early))]

    def count(self, tenant_id: int, runs: Sequence[Run]) -> None:
        """Count to how many connections a tenant's messages were written; the runs are in order."""
        self._unseen.count(tenant_id, runs)

    def notify_unseen(self, now: float) -> None:
        """Send the notices that are due about CRITICAL messages that nobody has looked at."""
        for notice in self._unseen.due(now):
            self._notify(notice, "unseen")
        self._metrics.critical_unseen.set(self._unseen.unseen)

    def clear(self) -> None:
        """Forget everything: the log is another one."""
        self._known.clear()
        self._early.clear()
        self._unseen.clear()

    def _notify(self, notice: Notice, kind: str) -> None:
        self._metrics.critical_notices.labels(kind).inc()
        self._hub.notify(notice.about.tenant_id, notice.message, notice.about.shows)
