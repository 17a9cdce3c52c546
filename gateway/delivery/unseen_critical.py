"""CRITICAL messages that somebody has to look at: who did, and when to send a notice that nobody did.

Values in, notices out; the clock is passed in. Bounded per tenant: the newest messages are watched.
"""

import heapq
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import NamedTuple

from common.settings.gateway import CriticalSettings
from contracts.messages import CriticalUnseen, MessageSeen, NoticeMessage, SeenBy
from contracts.receipts import Run
from gateway.access.scope import Scope
from gateway.session.replies import iso


@dataclass(slots=True, eq=False)
class CriticalMessage:
    """A message that is watched."""

    tenant_id: int
    id: str
    """Of the finding."""
    seq: int
    client_id: int | None
    site_id: int | None
    since: float
    """When it was published, seconds since 1970."""
    notices: int = 0
    """How many were due, sent or not."""
    recipients: int = 0
    seen_by: dict[str, str] = field(default_factory=dict)
    """User to time, the first one first."""
    forgotten: bool = False

    def shows(self, scope: Scope) -> bool:
        """Whether a subscription shows the message."""
        return scope.shows(self.client_id, self.site_id)


class Notice(NamedTuple):
    """Is sent to the subscribers of a tenant who may see the message that it is about."""

    about: CriticalMessage
    message: NoticeMessage


class UnseenCritical:
    """The newest CRITICAL messages of each tenant."""

    def __init__(self, limits: CriticalSettings) -> None:
        self._limits = limits
        self._messages: dict[int, dict[str, CriticalMessage]] = {}
        self._due: list[tuple[float, int, CriticalMessage]] = []
        self._order = count()
        self.unseen = 0
        """Messages that nobody has looked at, as far as they are watched."""

    def add(self, critical: CriticalMessage, now: float) -> None:
        """Watch a message; one that is watched already stays as it is. Notices that were due before are left out."""
        known = self._messages.setdefault(critical.tenant_id, {})
        if critical.id in known:
            return
        known[critical.id] = critical
        self.unseen += 1
        self._skip_until(critical, now)
        if len(known) > self._limits.messages_max:
            self._forget(known, next(iter(known)))

    def count(self, tenant_id: int, runs: Sequence[Run]) -> None:
        """Count to how many connections the tenant's messages were written; the runs are in order."""
        known = self._messages.get(tenant_id)
        if not known or not runs:
            return
        for critical in known.values():
            index = bisect_left(runs, critical.seq, key=lambda run: run.last)
            if index < len(runs) and runs[index].first <= critical.seq:
                critical.recipients += runs[index].recipients

    def seen(self, tenant_id: int, identifier: str, user: str, at: str, now: float) -> Notice | None:
        """Somebody has looked at a message.

        Args:
            tenant_id: of the message.
            identifier: of the finding; what is not watched is passed over.
            user: the token's subject.
            at: when, ISO 8601 UTC.
            now: seconds since 1970.

        Returns:
            the notice to send, or None where it is known already.
        """
        critical = self._messages.get(tenant_id, {}).get(identifier)
        if critical is None or user in critical.seen_by or len(critical.seen_by) >= self._limits.seen_by_max:
            return None
        self.unseen -= not critical.seen_by
        critical.seen_by[user] = at
        seen_by = [SeenBy(name, moment) for name, moment in critical.seen_by.items()]
        return Notice(critical, MessageSeen(timestamp=iso(now), seq=critical.seq, id=critical.id, seen_by=seen_by))

    def due(self, now: float) -> list[Notice]:
        """The notices of messages that nobody has looked at by now; at most one for each message and call."""
        notices: list[Notice] = []
        again: list[CriticalMessage] = []
        while self._due and self._due[0][0] <= now:
            critical = heapq.heappop(self._due)[2]
            if critical.forgotten or critical.seen_by:
                continue
            critical.notices += 1
            again.append(critical)
            message = CriticalUnseen(
                timestamp=iso(now),
                seq=critical.seq,
                id=critical.id,
                site_id=critical.site_id,
                client_id=critical.client_id,
                since=iso(critical.since),
                unseen_seconds=round(now - critical.since, 3),
                recipients=critical.recipients,
            )
            notices.append(Notice(critical, message))
        for critical in again:
            # After a loop that stood still one notice is sent for all that fell due in between.
            self._skip_until(critical, now)
        return notices

    def clear(self) -> None:
        """Forget everything: the log is another one."""
        self._messages.clear()
        self._due.clear()
        self.unseen = 0

    def _due_at(self, critical: CriticalMessage) -> float:
        return float(critical.since + self._limits.unseen_s * 2**critical.notices)

    def _skip_until(self, critical: CriticalMessage, now: float) -> None:
        """Leave out the notices that were due by now, and schedule the next one."""
        while critical.notices < self._limits.notices_max and self._due_at(critical) <= now:
            critical.notices += 1
        if critical.notices < self._limits.notices_max:
            heapq.heappush(self._due, (self._due_at(critical), next(self._order), critical))

    def _forget(self, known: dict[str, CriticalMessage], identifier: str) -> None:
        critical = known.pop(identifier)
        critical.forgotten = True
        self.unseen -= not critical.seen_by
        if len(self._due) > 2 * sum(map(len, self._messages.values())) + 1:
            self._due = [entry for entry in self._due if not entry[2].forgotten and not entry[2].seen_by]
            heapq.heapify(self._due)
