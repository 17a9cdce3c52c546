"""A worker with nothing to do, and one with much to do, report no error.

Faust expects that its own consumer reads; here the engine does. The stack's environment shortens Faust's checks, and the
topic for which the worker joins its group, that of the tenants, has a record in each partition.
"""

import pytest
from hostile.fairness.floods import one_insert
from hostile.fairness.neighbours import tenant_in
from support.operator import insert
from support.stack import RunningStack
from support.waiting import happens

_CHECKS_S = 6.0
"""Six times as long as Faust lets a consumer rest, and as often as it looks."""


def errors(stack: RunningStack) -> set[str]:
    """The lines of the worker's log that are errors."""
    lines = stack.log_tail("worker", lines=10_000).splitlines()
    return {line for line in lines if '"level":"error"' in line.replace(" ", "") or not line.startswith("{")}


@pytest.fixture(autouse=True)
def tenants(flooded: RunningStack) -> None:
    with flooded.connection() as session, flooded.processing(tenant=4):
        for partition in range(4):
            tenant = tenant_in(partition, 4)
            insert(session, "tenant", id=tenant, tenant_id=tenant, name="a tenant")


def stays_quiet(stack: RunningStack, before: set[str]) -> None:
    with_errors = happens(lambda: errors(stack) - before, within_s=_CHECKS_S)
    assert not with_errors, errors(stack) - before


def test_an_idle_worker_reports_no_error(flooded: RunningStack) -> None:
    stays_quiet(flooded, errors(flooded))


def test_a_busy_worker_reports_no_error(flooded: RunningStack) -> None:
    before = errors(flooded)
    with flooded.connection() as session:
        one_insert(session, tenant_in(0, 4), 20_000)
    stays_quiet(flooded, before)
