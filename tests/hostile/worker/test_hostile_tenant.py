"""What a hostile tenant writes to the database stops no worker and delays nobody, through every real joint of the chain."""

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from support.operator import STREAM, Operator, fresh_id, insert
from support.stack import RunningStack

pytestmark = pytest.mark.timeout(300)
Connection = psycopg.Connection[Any]
DELAY_S_MAX = 10.0
"""Of the other tenant's finding, on a busy machine; a tenth of what these rows once took."""


def ordinary_tenant(stack: RunningStack, connection: Connection) -> int:
    """A tenant with a site, a person and a shift that covers now."""
    tenant, now = fresh_id(), datetime.now(UTC)
    with stack.processing(tenant=1, client=1, site=1, person=1, assignment=1):
        insert(connection, "tenant", id=tenant, tenant_id=tenant, name="Tenant")
        insert(connection, "client", id=tenant, tenant_id=tenant, name="Client")
        insert(connection, "site", id=tenant, tenant_id=tenant, client_id=tenant, name="Harbour")
        insert(connection, "person", id=tenant, tenant_id=tenant, name="Ann Example")
        shift = {"shift_start": now - timedelta(hours=1), "shift_end": now + timedelta(hours=1)}
        insert(connection, "assignment", tenant_id=tenant, person_id=tenant, site_id=tenant, **shift)
    return tenant


def infinite_times(connection: Connection, tenant: int) -> None:
    connection.execute(
        "INSERT INTO public.location (id, tenant_id, person_id, recorded_at) "
        "SELECT %s + n, %s, 1, 'infinity' FROM generate_series(1, 3000) n",
        [fresh_id() * 10_000, tenant],
    )
    insert(
        connection, "location", tenant_id=fresh_id(), person_id=1, latitude=float("nan"), recorded_at=datetime.now(UTC)
    )


def an_endless_time(connection: Connection, tenant: int) -> None:
    settings = json.dumps({"silent_minutes_max": 1e30})
    insert(connection, "policy", tenant_id=tenant, detector="device_offline", settings=settings)
    insert(connection, "device", tenant_id=tenant, status="ONLINE", last_seen=datetime.now(UTC))


def crossing_strips(connection: Connection, tenant: int) -> None:
    def strip(index: int, *, upright: bool) -> list[list[list[float]]]:
        low, high = 0.0002 * index, 0.0002 * index + 0.0001
        ring = [(low, 0.0), (high, 0.0), (high, 0.1), (low, 0.1), (low, 0.0)]
        return [[[11 + x, 48 + y] if upright else [11 + y, 48 + x] for x, y in ring]]

    for count in (50, 250, 1_000):
        strips = [strip(index, upright=upright) for index in range(count) for upright in (True, False)]
        text = json.dumps({"type": "MultiPolygon", "coordinates": strips})
        site = insert(connection, "site", tenant_id=tenant, geofence=text)
        insert(
            connection,
            "location",
            tenant_id=tenant,
            site_id=site,
            latitude=48.0,
            longitude=11.0,
            recorded_at=datetime.now(UTC),
        )


def many_policies(connection: Connection, tenant: int) -> None:
    connection.execute(
        "INSERT INTO public.policy (id, tenant_id, site_id, detector, settings) "
        "SELECT %s + n, %s, n, 'wrong_person', '{\"fraud_score\": 0.5}' FROM generate_series(1, 4000) n",
        [fresh_id() * 10_000, tenant],
    )


@pytest.mark.parametrize("write", [infinite_times, an_endless_time, crossing_strips, many_policies])
def test_the_worker_goes_on_and_the_others_notice_nothing(
    stack: RunningStack, connection: Connection, write: Callable[[Connection, int], None]
) -> None:
    tenant, worker = ordinary_tenant(stack, connection), stack.pid("worker")
    with Operator(stack, tenant, STREAM) as operator:
        write(connection, fresh_id())
        started = time.monotonic()
        row = {"tenant_id": tenant, "site_id": tenant, "person_id": tenant, "verified_person_id": 1}
        insert(connection, "attendance", event_type="CHECK_IN", occurred_at=datetime.now(UTC), **row)
        finding = operator.expect("anomaly_detected", timeout_s=60)["findings"][0]
        assert finding["finding_type"] == "WRONG_PERSON"
        assert time.monotonic() - started < DELAY_S_MAX
    assert stack.pid("worker") == worker
