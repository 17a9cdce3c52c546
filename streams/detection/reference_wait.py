"""Events that arrive before the rows they refer to: they wait for a span of log time, then are judged without them.

Owns which events wait and for what; the handler judges them. An event waits if it is new and its tenant has no row for
its site or person, or, for attendance, no shift of the person. Fixes and attendance of a person who already has a
waiting event queue up behind it; if the waiting event were judged early instead, no event of a phone that sends a fix
every second would ever wait. So a person's events are judged in commit order, and a waiting event delays only its person.

A reference that did not arrive is remembered for some time, in which nothing waits for it and it is not reported
again. So a stream of events that name a site that does not exist costs next to nothing.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, TypeAlias, cast

from contracts.envelope import Change
from streams.engine.model import Entry
from streams.state.tables import TenantTables
from streams.state.timers import Timer
from streams.state.wait_queue import TABLE, WaitQueue, entry_of, waiting_event

SITE, PERSON, ASSIGNMENT = "site", "person", "assignment"
REFERENCES = frozenset({SITE, PERSON, ASSIGNMENT})
"""The tables whose rows are waited for."""

Unknown: TypeAlias = tuple[tuple[str, ...], tuple[str, ...]]
"""The references that an event is judged without, and those of them that have not been reported recently."""
NOTHING_UNKNOWN: Unknown = ((), ())


class Released(NamedTuple):
    """An event whose wait is over."""

    entry: Entry
    missing: tuple[str, ...]
    """The references that are still missing."""
    reported: tuple[str, ...]
    """Those of them that have not been reported recently."""


class ReferenceWait:
    """Decides which events wait and for how long.

    Args:
        wait_ms: the log time that an event waits for its references; 0: no event waits.
        events_per_tenant_max: how many events of a tenant can wait; further ones are judged at once.
        report_interval_ms: how long a reference that did not arrive is not waited for and not reported again.
    """

    def __init__(self, wait_ms: int, events_per_tenant_max: int, report_interval_ms: int) -> None:
        self.wait_ms = wait_ms
        self._events_per_tenant_max = events_per_tenant_max
        self._report_interval_ms = report_interval_ms

    def arrive(
        self, tables: TenantTables, entry: Entry, *, learn_only: bool
    ) -> tuple[Sequence[Released], Unknown | None]:
        """What to do with an attendance or a fix that may have to wait.

        Returns:
            The events to judge before it, and the references that it is judged without; None instead of the latter
            if the event waits now.
        """
        change: Change = entry.change
        busy = self.is_busy(tables, change)
        if learn_only:
            return (self.end_waits(tables, change) if busy else (), NOTHING_UNKNOWN)
        missing = self.unknown(tables, change) if change.op == "c" and self.wait_ms else ()
        awaited = [
            name
            for name in missing
            if not self._is_missed(tables, change.row.tenant_id, name, change.row, change.commit_us // 1000)
        ]
        if not busy and not awaited:
            return ((), (missing, ()))
        if self._below_limit(tables, change.row.tenant_id):
            self._enqueue(tables, entry, missing)
            return ((), None)
        first = self.end_waits(tables, change) if busy else ()
        return (first, (missing, tuple(name for name in awaited if self._miss(tables, change, name))))

    def end_waits(self, tables: TenantTables, change: Change) -> list[Released]:
        """End the waits of a row's persons and return their events: the row cannot wait and must not overtake them."""
        persons = frozenset(getattr(row, "person_id", None) for row in (change.before, change.after))
        return list(self.release(tables, change.row.tenant_id, change.commit_us // 1000, persons))

    def is_awaited(self, tables: TenantTables, change: Change) -> bool:
        """Whether a row of reference data may end the wait of an event of its tenant."""
        queue, row = tables.wait_queues.get(change.row.tenant_id), cast(Any, change.after)
        if queue is None or row is None:
            return False
        if change.table == ASSIGNMENT:  # a person with shifts is known
            return queue.lacks(ASSIGNMENT, row.person_id) or queue.lacks(PERSON, row.person_id)
        return change.table in REFERENCES and queue.lacks(change.table, row.id)

    def unknown(self, tables: TenantTables, change: Change) -> tuple[str, ...]:
        """The references of a row that its tenant does not have, in the order of the tables in `REFERENCES`."""
        row: Any = change.row
        names = (SITE, PERSON, ASSIGNMENT) if change.table == "attendance" else (SITE, PERSON)
        return tuple(name for name in names if not _known(tables, row.tenant_id, name, row))

    def is_busy(self, tables: TenantTables, change: Change) -> bool:
        """Whether an event of the person that the row names, or named before, is waiting."""
        queue = tables.wait_queues.get(change.row.tenant_id)
        return queue is not None and any(
            queue.has(getattr(row, "person_id", None)) for row in (change.before, change.after)
        )

    def _below_limit(self, tables: TenantTables, tenant_id: int) -> bool:
        """Whether another event of the tenant may wait."""
        queue = tables.wait_queues.get(tenant_id)
        return queue is None or len(queue.events) < self._events_per_tenant_max

    def _enqueue(self, tables: TenantTables, entry: Entry, needs: tuple[str, ...]) -> None:
        """Let an event wait."""
        change = entry.change
        tenant_id = change.row.tenant_id
        queue = tables.wait_queues.setdefault(tenant_id, WaitQueue())
        last = next(reversed(queue.events), 0)
        due_ms = change.commit_us // 1000 + self.wait_ms
        if last:
            due_ms = max(due_ms, queue.events[last].due_ms)
        event = waiting_event(entry, needs, due_ms)
        queue.add(last + 1, event)
        tables.waiting.put((tenant_id, last + 1), event)
        tables.timers.add(tenant_id, Timer(due_ms, TABLE, last + 1))

    def release(
        self, tables: TenantTables, tenant_id: int, now_ms: int, persons: frozenset[int | None] | None = None
    ) -> Iterator[Released]:
        """Remove and return the tenant's events whose wait is over, in the order in which they arrived.

        The waits of `persons` end now, whatever they wait for.
        """
        queue = tables.wait_queues.get(tenant_id)
        if queue is None:
            return
        blocked: set[int] = set()
        for number, event in list(queue.events.items()):
            over = event.due_ms <= now_ms or (persons is not None and event.person_id in persons)
            missing = tuple(name for name in event.needs if not _known(tables, tenant_id, name, event))
            awaited = tuple(name for name in missing if not self._is_missed(tables, tenant_id, name, event, now_ms))
            if event.person_id in blocked or (awaited and not over):
                if event.person_id is not None:
                    blocked.add(event.person_id)
                continue
            queue.remove(number)
            if not queue.events:
                del tables.wait_queues[tenant_id]
            tables.waiting.delete((tenant_id, number))
            for name in awaited:
                tables.missed.put(_missed_key(tenant_id, name, event), now_ms)
            yield Released(entry_of(event), missing, awaited)

    def _miss(self, tables: TenantTables, change: Change, name: str) -> bool:
        """Remember that a reference of the row did not arrive; return whether to report it."""
        row, now_ms = change.row, change.commit_us // 1000
        if self._is_missed(tables, row.tenant_id, name, row, now_ms):
            return False
        tables.missed.put(_missed_key(row.tenant_id, name, row), now_ms)
        return True

    def _is_missed(self, tables: TenantTables, tenant_id: int, name: str, about: Any, now_ms: int) -> bool:
        """Whether a reference of a row or a waiting event is known not to arrive."""
        reported_ms = tables.missed.get(_missed_key(tenant_id, name, about))
        return reported_ms is not None and now_ms < reported_ms + self._report_interval_ms


def _missed_key(tenant_id: int, name: str, about: Any) -> tuple[int, str, int]:
    return (tenant_id, name, (about.site_id if name == SITE else about.person_id) or 0)


def _known(tables: TenantTables, tenant_id: int, name: str, about: Any) -> bool:
    """Whether the tenant has what a row or an event names, or it names none. A person with shifts counts as known."""
    if name == SITE:
        return about.site_id is None or tables.sites.get((tenant_id, about.site_id)) is not None
    if about.person_id is None or tables.shifts.get((tenant_id, about.person_id)):
        return True
    return name == PERSON and tables.persons.get((tenant_id, about.person_id)) is not None
