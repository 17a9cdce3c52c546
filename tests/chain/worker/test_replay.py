"""A replay of what the real chain has processed says what its topics hold."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from support.operator import Operator, fresh_id, insert, update
from support.replay_comparison import Compared, compare
from support.stack import RunningStack
from support.waiting import let_pass, until

from contracts.topics import partition_of

Connection = psycopg.Connection[Any]
REPORTS = 'watchfloor_worker_messages_total{type="rate_limited"}'


@pytest.fixture
def bursts(stack: RunningStack, connection: Connection) -> list[int]:
    """Tenants in every partition with findings, tickets, bursts over a limit that changes, and their reports."""
    partitions, tenants = stack.settings.kafka.partitions, dict[int, int]()
    while len(tenants) < partitions:
        tenant = fresh_id()
        tenants.setdefault(partition_of(tenant, partitions), tenant)
    for tenant in tenants.values():
        insert(connection, "tenant", id=tenant, name=f"Tenant {tenant}", max_events_per_second=5)
        insert(connection, "site", id=tenant, tenant_id=tenant, client_id=tenant, name="Harbour")
    for limit in (3, None):
        reported = stack.worker_metric(REPORTS)
        for tenant in tenants.values():
            with connection.transaction():
                for number in range(12):
                    row = {"tenant_id": tenant, "site_id": tenant, "person_id": 1, "verified_person_id": 1 + number % 2}
                    insert(connection, "attendance", **row, event_type="CHECK_OUT", occurred_at=datetime.now(UTC))
        for tenant in tenants.values():
            ticket = insert(connection, "ticket", tenant_id=tenant, site_id=tenant, status="NEW", priority="HIGH")
            update(connection, "ticket", ticket, status="OPEN")
            update(connection, "site", tenant, name=f"Harbour under {limit}")
        let_pass(1.0)  # by the commit times the burst is not over yet when the limit changes
        for tenant in tenants.values():
            update(connection, "tenant", tenant, max_events_per_second=limit)
        until(lambda before=reported: stack.worker_metric(REPORTS) >= before + partitions, "each burst is reported")
    for tenant in tenants.values():
        with Operator(stack, tenant) as dashboard:
            until(lambda seen=dashboard: seen.greeting["seq"] >= 1, "the tenant's feed is known")
    return list(tenants.values())


def test_replays_say_what_the_topics_hold(stack: RunningStack, bursts: list[int]) -> None:
    async def all_partitions() -> list[Compared]:
        return [await compare(stack.settings, partition) for partition in range(stack.settings.kafka.partitions)]

    compared = asyncio.run(all_partitions())
    sure = [each for each in compared if each.without_journal]
    assert sure, f"in every partition something came late: {[each.summary.doubts() for each in compared]}"
    reports = [
        value for each in sure for tenant in bursts for value in each.feed.get(tenant, []) if b'"rate_limited"' in value
    ]
    assert len(reports) >= 2, "no burst was replayed"
