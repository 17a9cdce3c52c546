"""Who has looked at which finding: the newest findings, who may see them, and marks from here and elsewhere.

Owns what may be marked, so that nobody marks what is not theirs, and who is told of it. No I/O.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from contracts.feed import AnomalyDetected
from contracts.findings import Severity
from contracts.receipts import ReceiptBatch, SeenMark
from gateway.access.scope import Scope
from gateway.delivery.unseen_critical import Notice, UnseenCritical
from gateway.feed.rendering import FeedEntry
from gateway.metrics import GatewayMetrics

_EARLY_MAX = 1_000
"""Findings that this gateway has not read yet, about which others have said who has looked at them."""
_EARLY_MARKS_MAX = 20
"""Of one such finding."""


class _Known(NamedTuple):
    """Who may see a finding that was shown."""

    client_id: int | None
    site_id: int | None


class SeenFindings:
    """The newest findings of all tenants, and who has looked at the CRITICAL ones.

    Args:
        watch: is told of CRITICAL messages and of who has looked at them.
        metrics: counts notices.
        ids_max: findings that are known, of all tenants together.
    """

    def __init__(self, watch: UnseenCritical, metrics: GatewayMetrics, ids_max: int) -> None:
        self._watch = watch
        self._metrics = metrics
        self._ids_max = ids_max
        self._known: dict[tuple[int, str], _Known] = {}
        """By tenant and id."""
        self._early: dict[tuple[int, str], list[SeenMark]] = {}
        self.notify: Callable[[Notice], None] = lambda _notice: None
        """Tells the subscribers; set by who has them."""

    def learn(self, entries: Sequence[FeedEntry], now: float, *, live: bool) -> None:
        """Take note of records.

        Args:
            entries: the records.
            now: seconds since 1970.
            live: they were shown just now; otherwise they were read back, and were shown when they were written.
        """
        for entry in entries:
            record = entry.record
            if not isinstance(record, AnomalyDetected):
                continue
            for finding in record.findings:
                key = (record.tenant_id, finding.id)
                self._known[key] = _Known(record.client_id, record.site_id)
                if finding.severity is Severity.CRITICAL:
                    self._watch.add(
                        record.tenant_id,
                        finding.id,
                        record.seq,
                        record.client_id,
                        record.site_id,
                        since=now if live else entry.past.timestamp_ms / 1000,
                        now=now,
                    )
                for mark in self._early.pop(key, ()):
                    self.mark(record.tenant_id, mark, now)
        while len(self._known) > self._ids_max:
            del self._known[next(iter(self._known))]

    def visible(self, tenant_id: int, identifier: str, scope: Scope) -> bool:
        """Whether a finding is known and a subscription shows it."""
        known = self._known.get((tenant_id, identifier))
        return known is not None and scope.shows(known.client_id, known.site_id)

    def mark(self, tenant_id: int, mark: SeenMark, now: float) -> None:
        """Somebody has looked at a finding; of a CRITICAL one everybody is told who may see it."""
        notice = self._watch.seen(tenant_id, mark.id, mark.user, mark.at, now)
        if notice is not None:
            self._metrics.critical_notices.labels("seen").inc()
            self.notify(notice)

    def heard(self, batch: ReceiptBatch, now: float) -> None:
        """A record of any gateway: what is seen there is seen here."""
        for mark in batch.seen:
            key = (batch.tenant_id, mark.id)
            if key in self._known:
                self.mark(batch.tenant_id, mark, now)
            else:  # its message may be read a moment later
                marks = self._early.setdefault(key, [])
                if len(marks) < _EARLY_MARKS_MAX:
                    marks.append(mark)
        while len(self._early) > _EARLY_MAX:
            del self._early[next(iter(self._early))]

    def tell_unseen(self, now: float) -> None:
        """Tell of CRITICAL messages that nobody has looked at, where it is time."""
        for notice in self._watch.due(now):
            self._metrics.critical_notices.labels("unseen").inc()
            self.notify(notice)
        self._metrics.critical_unseen.set(self._watch.unseen)

    def clear(self) -> None:
        """Forget everything: the log is another one."""
        self._known.clear()
        self._early.clear()
        self._watch.clear()
