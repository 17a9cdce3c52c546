"""Which message was written to, received by and seen by whom, gathered for `noc.receipts` (B5.11).

Owns what is gathered between two records of a tenant; which findings may be marked as seen is decided by
`gateway.delivery.seen_findings`. No I/O: it is notified of everything and returns the records that are due.

Nothing here delays a message: `written` is two steps in a dictionary, however many connections a batch went to, and the
counts are worked out when a record is made.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice

from contracts.receipts import Reach, ReceiptBatch, RecipientRuns, SeenMark
from gateway.delivery.seen_findings import SeenFindings
from gateway.feed.hub import Hub
from gateway.feed.rendering import FeedEntry
from gateway.feed.subscriber import Subscriber
from gateway.metrics import GatewayMetrics
from gateway.session.replies import iso
from gateway.staggered_schedule import StaggeredSchedule

_CONNECTIONS_MAX = 200
"""In one record; more are several records."""


@dataclass(slots=True, eq=False)
class Recipient:
    """A signed-in connection as the receipts know it."""

    subscriber: Subscriber
    connection: str
    """Its name in the records and in the log."""
    written: int = 0
    """The highest seq up to which everything that it may see is known to have been handed to its socket."""
    recorded: int = -1
    """What the latest record says of `written`."""
    received: int | None = None
    present: bool = False


@dataclass(slots=True)
class _Pending:
    """What happened at one tenant since its last record."""

    runs: RecipientRuns = field(default_factory=RecipientRuns)
    singles: dict[int, int] = field(default_factory=dict)
    """Seq to how often it was written to a single connection: those with filters are written one by one."""
    changed: set[Recipient] = field(default_factory=set)
    left: list[Reach] = field(default_factory=list)
    seen: dict[tuple[str, str], SeenMark] = field(default_factory=dict)
    """By user and id."""

    def __bool__(self) -> bool:
        return bool(len(self.runs) or self.singles or self.changed or self.left or self.seen)


class Receipts:
    """The receipts of one gateway.

    Args:
        gateway: the name of this process in the records.
        publish: takes records that are ready before their interval is over.
        ranges_max: ranges and marks of one tenant that are gathered.
        positions_interval_s: how often the progress of connections is recorded that do not report it themselves.
    """

    def __init__(
        self,
        gateway: str,
        hub: Hub,
        findings: SeenFindings,
        publish: Callable[[ReceiptBatch], None],
        metrics: GatewayMetrics,
        *,
        ranges_max: int,
        positions_interval_s: int,
    ) -> None:
        self._gateway = gateway
        self._hub = hub
        self._findings = findings
        self._publish = publish
        self._metrics = metrics
        self._ranges_max = ranges_max
        self._positions_interval_s = positions_interval_s
        self._pending: dict[int, _Pending] = {}
        self._recipients: StaggeredSchedule[Recipient] = StaggeredSchedule(positions_interval_s)

    # --- the feed --------------------------------------------------------------------------------

    def written(self, tenant_id: int, first_seq: int, last_seq: int, recipients: int) -> None:
        """All records from the first to the last seq were written to so many connections."""
        if not recipients:
            return
        pending = self._pending.get(tenant_id)
        if pending is None or len(pending.runs) >= self._ranges_max:
            pending = self._with_room(tenant_id)
        pending.runs.add(first_seq, last_seq, recipients)

    def written_one(self, tenant_id: int, seq: int) -> None:
        """A record was written to one connection."""
        pending = self._pending.get(tenant_id)
        if pending is None or len(pending.singles) >= self._ranges_max:
            pending = self._with_room(tenant_id)
        pending.singles[seq] = pending.singles.get(seq, 0) + 1

    def published(self, entries: Sequence[FeedEntry]) -> None:
        """These records were written to all live subscribers who may see them."""
        self._findings.learn(entries, live=True)

    def remembered(self, entries: Sequence[FeedEntry]) -> None:
        """These records were read back at the start; nobody was written them."""
        self._findings.learn(entries, live=False)

    def log_ends(self) -> None:
        """The records that follow are of another log: what was gathered belongs to this one, as do all ids."""
        for batch in self.flush():
            self._publish(batch)
        for recipient in self._recipients.members():
            recipient.present = False
        self._recipients = StaggeredSchedule(self._positions_interval_s)
        self._findings.clear()

    # --- the connections -------------------------------------------------------------------------

    def joined(self, recipient: Recipient) -> None:
        """A connection has signed in."""
        recipient.present = True
        self._recipients.add(recipient)

    def left(self, recipient: Recipient) -> None:
        """A connection was closed; a second time does nothing."""
        if not recipient.present:
            return
        recipient.present = False
        self._recipients.discard(recipient)
        pending = self._pending_of(recipient.subscriber.tenant_id)
        pending.changed.discard(recipient)
        pending.left.append(self._reach(recipient, left=True))
        self._publish_when_full(recipient.subscriber.tenant_id, pending)

    def received(self, recipient: Recipient, seq: int) -> None:
        """A client reports that it has had everything up to a seq; more than it was written is not believed."""
        if not recipient.present:
            return  # it has left, or the log is another one and it is being sent away
        seq = min(seq, self._written(recipient))
        if recipient.received is None or seq > recipient.received:
            recipient.received = seq
            self._pending_of(recipient.subscriber.tenant_id).changed.add(recipient)

    def seen(self, recipient: Recipient, ids: Iterable[str], now: float, *, may_act: bool) -> None:
        """A person has looked at messages; notices about CRITICAL ones end only where that person `may_act` on them.

        Ids that the token does not show are passed over silently, and so are those that this gateway does not know:
        the sender learns nothing about findings of others.
        """
        tenant_id, user = recipient.subscriber.tenant_id, recipient.subscriber.subject
        allowed = recipient.subscriber.scope.widened()
        at = iso(now)
        for identifier in ids:
            if not self._findings.visible(tenant_id, identifier, allowed):
                self._metrics.seen.labels("ignored").inc()
                continue
            pending = self._pending_of(tenant_id)
            if (user, identifier) in pending.seen and pending.seen[user, identifier].may_act >= may_act:
                continue
            self._metrics.seen.labels("taken").inc()
            mark = pending.seen[user, identifier] = SeenMark(user=user, id=identifier, at=at, may_act=may_act)
            self._publish_when_full(tenant_id, pending)
            self._findings.mark(tenant_id, mark)

    # --- the records -----------------------------------------------------------------------------

    def note_positions(self, *, everybody: bool = False) -> None:
        """Note the progress of connections that do not report it: once a second of another part of them, or of all."""
        for recipient in self._recipients.members() if everybody else self._recipients.tick():
            if self._written(recipient) > recipient.recorded:
                self._pending_of(recipient.subscriber.tenant_id).changed.add(recipient)

    def flush(self) -> Iterator[ReceiptBatch]:
        """The records that are due now, at least one for each tenant at which something happened.

        Made one by one as they are asked for, so that the loop is not blocked by thousands of connections.
        """
        due, self._pending = self._pending, {}
        epoch = self._hub.epoch
        return (
            batch for tenant_id, pending in due.items() if pending for batch in self._batches(tenant_id, pending, epoch)
        )

    def _with_room(self, tenant_id: int) -> _Pending:
        self._publish_when_full(tenant_id, self._pending_of(tenant_id))
        return self._pending_of(tenant_id)

    def _pending_of(self, tenant_id: int) -> _Pending:
        found = self._pending.get(tenant_id)
        if found is None:
            found = self._pending[tenant_id] = _Pending()
        return found

    def _publish_when_full(self, tenant_id: int, pending: _Pending) -> None:
        fill = max(len(pending.runs), len(pending.singles), len(pending.seen), len(pending.left))
        if fill >= self._ranges_max:
            del self._pending[tenant_id]
            for batch in self._batches(tenant_id, pending, self._hub.epoch):
                self._publish(batch)

    def _written(self, recipient: Recipient) -> int:
        # A client that goes back to a position is written again what it had before; its progress stays.
        recipient.written = max(recipient.written, self._hub.reached(recipient.subscriber))
        return recipient.written

    def _reach(self, recipient: Recipient, *, left: bool = False) -> Reach:
        recipient.recorded = self._written(recipient)
        return Reach(
            user=recipient.subscriber.subject,
            connection=recipient.connection,
            endpoint=str(recipient.subscriber.variant.endpoint),
            written=recipient.recorded,
            received=recipient.received,
            left=left,
        )

    def _batches(self, tenant_id: int, pending: _Pending, epoch: str) -> Iterator[ReceiptBatch]:
        for seq, recipients in pending.singles.items():
            pending.runs.add(seq, seq, recipients)
        runs = pending.runs.runs()
        self._findings.count(tenant_id, runs)
        seen = list(pending.seen.values())
        at = iso(self._hub.clock())
        reaches = chain(pending.left, map(self._reach, pending.changed))
        part = list(islice(reaches, _CONNECTIONS_MAX))
        yield ReceiptBatch(
            tenant_id=tenant_id, gateway=self._gateway, at=at, epoch=epoch, runs=runs, connections=part, seen=seen
        )
        while part := list(islice(reaches, _CONNECTIONS_MAX)):
            yield ReceiptBatch(tenant_id=tenant_id, gateway=self._gateway, at=at, epoch=epoch, connections=part)
