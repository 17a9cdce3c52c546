"""Who was written, has had, and has looked at which message, gathered for `noc.receipts` (B5.11).

Owns what is gathered between two records of a tenant; which findings may be marked is `gateway.delivery.seen_findings`'s.
No I/O: it gives out batches, and is told everything.

Nothing here is on the way of a message: `written` is two steps in a dictionary, however many connections a
batch went to, and the counts are worked out when a record is made.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice

from contracts.receipts import Reach, ReceiptBatch, RecipientRuns, SeenMark
from gateway.delivery.seen_findings import SeenFindings
from gateway.delivery.unseen_critical import UnseenCritical
from gateway.feed.rendering import FeedEntry
from gateway.feed.subscriber import Subscriber
from gateway.metrics import GatewayMetrics
from gateway.session.replies import iso
from gateway.staggered_schedule import StaggeredSchedule

_CONNECTIONS_MAX = 200
"""In one record; more are several records."""


@dataclass(slots=True, eq=False)
class Viewer:
    """A signed-in connection as the receipts know it."""

    subscriber: Subscriber
    connection: str
    """Its name in the records and in the log."""
    written: int = 0
    """The highest seq up to which everything that it may see is known to have been handed to its socket."""
    told: int = -1
    """What the latest record says of `written`."""
    received: int | None = None
    present: bool = False

    @property
    def tenant_id(self) -> int:
        """Whose messages it sees."""
        return self.subscriber.tenant_id

    @property
    def subject(self) -> str:
        """The token's user."""
        return self.subscriber.subject


@dataclass(slots=True)
class _Ledger:
    """What is to be told of one tenant."""

    runs: RecipientRuns = field(default_factory=RecipientRuns)
    ones: dict[int, int] = field(default_factory=dict)
    """Seq to how often it was written to one connection: for who filters, one after the other."""
    changed: set[Viewer] = field(default_factory=set)
    gone: list[Reach] = field(default_factory=list)
    seen: dict[tuple[str, str], str] = field(default_factory=dict)
    """User and id to time."""

    def __bool__(self) -> bool:
        return bool(len(self.runs) or self.ones or self.changed or self.gone or self.seen)


class Receipts:
    """Everything that one gateway has to say about deliveries.

    Args:
        gateway: the name of this process in the records.
        watch: is told of CRITICAL messages and of who has looked at them.
        metrics: counts marks and notices.
        give: takes records that are ready before their interval is over.
        epoch: of the feed's log now.
        clock: seconds since 1970.
        ranges_max: ranges and marks of one tenant that are gathered.
        ids_max: findings that are known, of all tenants together.
        positions_interval_s: how often each connection is looked at that does not say how far it is.
    """

    def __init__(
        self,
        gateway: str,
        watch: UnseenCritical,
        metrics: GatewayMetrics,
        *,
        give: Callable[[ReceiptBatch], None],
        epoch: Callable[[], str],
        clock: Callable[[], float],
        ranges_max: int,
        ids_max: int,
        positions_interval_s: int,
    ) -> None:
        self._gateway = gateway
        self._watch = watch
        self._metrics = metrics
        self._give = give
        self._epoch_now = epoch
        self._epoch = ""
        self._clock = clock
        self._ranges_max = ranges_max
        self._ledgers: dict[int, _Ledger] = {}
        self._positions_interval_s = positions_interval_s
        self._viewers: StaggeredSchedule[Viewer] = StaggeredSchedule(positions_interval_s)
        self.sightings = SeenFindings(watch, metrics, ids_max)
        self.reached: Callable[[Subscriber], int] = lambda subscriber: subscriber.cursor
        """The seq up to which a subscriber has had everything that it may see; set by who writes to it."""

    # --- the hub ---------------------------------------------------------------------------------

    def written(self, tenant_id: int, first_seq: int, last_seq: int, recipients: int) -> None:
        """All records from the first to the last seq were written to so many connections."""
        if not recipients:
            return
        ledger = self._ledgers.get(tenant_id)
        if ledger is None or len(ledger.runs) >= self._ranges_max:
            ledger = self._with_room(tenant_id)
        ledger.runs.add(first_seq, last_seq, recipients)

    def written_one(self, tenant_id: int, seq: int) -> None:
        """A record was written to one connection."""
        ledger = self._ledgers.get(tenant_id)
        if ledger is None or len(ledger.ones) >= self._ranges_max:
            ledger = self._with_room(tenant_id)
        ledger.ones[seq] = ledger.ones.get(seq, 0) + 1

    def published(self, entries: Sequence[FeedEntry]) -> None:
        """These records were handed to all who may see them."""
        self._follow_epoch()
        self.sightings.learn(entries, self._clock(), live=True)

    def remembered(self, entries: Sequence[FeedEntry]) -> None:
        """These records were read back from the past; nobody was handed them."""
        self._follow_epoch()
        self.sightings.learn(entries, self._clock(), live=False)

    # --- the connections -------------------------------------------------------------------------

    def arrived(self, who: Viewer) -> None:
        """A connection has signed in."""
        who.present = True
        self._viewers.add(who)

    def left(self, who: Viewer) -> None:
        """A connection is gone; a second time does nothing."""
        if not who.present:
            return
        who.present = False
        self._viewers.discard(who)
        ledger = self._ledger(who.tenant_id)
        ledger.changed.discard(who)
        ledger.gone.append(self._told(who, left=True))
        self._when_full(who.tenant_id, ledger)

    def received(self, who: Viewer, seq: int) -> None:
        """A client says that it has had everything up to a seq; more than it was written is not believed."""
        if not who.present:
            return  # it has left, or the log is another one and it is being sent away
        seq = min(seq, self._reach(who))
        if who.received is None or seq > who.received:
            who.received = seq
            self._ledger(who.tenant_id).changed.add(who)

    def seen(self, who: Viewer, ids: Iterable[str], now: float) -> None:
        """A person has looked at messages.

        What the token does not show is passed over without a word, and so is what this gateway does not know:
        the sender learns nothing about ids of others.
        """
        allowed = who.subscriber.scope.widened()
        at = iso(now)
        for identifier in ids:
            if not self.sightings.visible(who.tenant_id, identifier, allowed):
                self._metrics.seen.labels("ignored").inc()
                continue
            ledger = self._ledger(who.tenant_id)
            if (who.subject, identifier) in ledger.seen:
                continue
            self._metrics.seen.labels("taken").inc()
            ledger.seen[who.subject, identifier] = at
            self._when_full(who.tenant_id, ledger)
            self.sightings.mark(who.tenant_id, SeenMark(user=who.subject, id=identifier, at=at), now)

    # --- the topic -------------------------------------------------------------------------------

    def heard(self, batch: ReceiptBatch) -> None:
        """A record of any gateway: what is seen there is seen here."""
        self.sightings.heard(batch, self._clock())

    def look_at_positions(self, *, everybody: bool = False) -> None:
        """Note how far connections have come that do not say so; once a second, each time another part of them.

        Args:
            everybody: all of them now.
        """
        for viewer in self._viewers.members() if everybody else self._viewers.tick():
            if self._reach(viewer) > viewer.told:
                self._ledger(viewer.tenant_id).changed.add(viewer)

    def flush(self) -> Iterator[ReceiptBatch]:
        """The records that are due now, at least one for each tenant of which there is something to say.

        Made one by one as they are asked for, so that thousands of connections need not be told of at a stretch.
        """
        self._follow_epoch()
        due, self._ledgers = self._ledgers, {}
        return self._all_batches(due)

    # --- inside ----------------------------------------------------------------------------------

    def _with_room(self, tenant_id: int) -> _Ledger:
        self._follow_epoch()
        self._when_full(tenant_id, self._ledger(tenant_id))
        return self._ledger(tenant_id)

    def _ledger(self, tenant_id: int) -> _Ledger:
        found = self._ledgers.get(tenant_id)
        if found is None:
            found = self._ledgers[tenant_id] = _Ledger()
        return found

    def _when_full(self, tenant_id: int, ledger: _Ledger) -> None:
        if max(len(ledger.runs), len(ledger.ones), len(ledger.seen), len(ledger.gone)) >= self._ranges_max:
            del self._ledgers[tenant_id]
            for batch in self._batches(tenant_id, ledger, self._epoch):
                self._give(batch)

    def _reach(self, viewer: Viewer) -> int:
        # A client that goes back to a position is written again what it had: it had it all the same.
        viewer.written = max(viewer.written, self.reached(viewer.subscriber))
        return viewer.written

    def _told(self, viewer: Viewer, *, left: bool = False) -> Reach:
        viewer.told = self._reach(viewer)
        return Reach(
            user=viewer.subject,
            connection=viewer.connection,
            endpoint=str(viewer.subscriber.variant.endpoint),
            written=viewer.told,
            received=viewer.received,
            left=left,
        )

    def _all_batches(self, ledgers: dict[int, _Ledger]) -> Iterator[ReceiptBatch]:
        epoch = self._epoch
        for tenant_id, ledger in ledgers.items():
            if ledger:
                yield from self._batches(tenant_id, ledger, epoch)

    def _batches(self, tenant_id: int, ledger: _Ledger, epoch: str) -> Iterator[ReceiptBatch]:
        for seq, recipients in ledger.ones.items():
            ledger.runs.add(seq, seq, recipients)
        runs = ledger.runs.runs()
        self._watch.count(tenant_id, runs)
        seen = [SeenMark(user=user, id=identifier, at=at) for (user, identifier), at in ledger.seen.items()]
        at = iso(self._clock())
        reaches = chain(ledger.gone, map(self._told, ledger.changed))
        part = list(islice(reaches, _CONNECTIONS_MAX))
        yield ReceiptBatch(
            tenant_id=tenant_id, gateway=self._gateway, at=at, epoch=epoch, runs=runs, connections=part, seen=seen
        )
        while part := list(islice(reaches, _CONNECTIONS_MAX)):
            yield ReceiptBatch(tenant_id=tenant_id, gateway=self._gateway, at=at, epoch=epoch, connections=part)

    def _follow_epoch(self) -> None:
        """Where the log is another one: what was gathered belongs to the old one, and its ids mean nothing."""
        epoch = self._epoch_now()
        if epoch == self._epoch:
            return
        if self._epoch:
            due, self._ledgers = self._ledgers, {}
            for batch in self._all_batches(due):
                self._give(batch)
            for viewer in self._viewers.members():
                viewer.present = False
            self._viewers = StaggeredSchedule(self._positions_interval_s)
            self.sightings.clear()
        self._epoch = epoch
