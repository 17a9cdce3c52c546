"""What did not happen is told within two seconds of its time: by ticks, over a restart, and of rows from before."""

import os
import signal
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from chain.detection.watched_company import AGO, Company, World, heard, listen
from support.waiting import until

pytestmark = pytest.mark.timeout(240)
DELAY_S_MAX = 2.0
DUE_S = 4.0
"""From the rows to the moment at which all of them are due."""


def insert_ticket(company: Company, due_at: datetime) -> None:
    company.add("ticket", status="OPEN", priority="HIGH", created_at=due_at - AGO(hours=4))


def insert_task(company: Company, due_at: datetime) -> None:
    company.add("jobneed", job_type="TASK", title="Doors", status="ASSIGNED", due_at=due_at)


def insert_work_order(company: Company, due_at: datetime) -> None:
    company.add("work_order", status="OPEN", vendor="Otis", due_at=due_at)


def insert_device(company: Company, due_at: datetime) -> None:
    company.policy("device_offline", silent_minutes_max=10.0, silent_intervals_max=0.0)
    company.add("device", name="Phone", status="ONLINE", last_seen=due_at - AGO(minutes=10))


def insert_check_in(company: Company, due_at: datetime) -> None:
    company.policy("missing_check_out", grace_s_max=0.0, upload_s_max=0.0)
    company.shift(due_at - AGO(hours=8), due_at, site_id=company.elsewhere)
    company.check_in(site_id=company.elsewhere, latitude=48.1, occurred_at=due_at - AGO(hours=8))


ABSENCES: dict[str, Callable[[Company, datetime], None]] = {
    "TICKET_SLA_BREACH": insert_ticket,
    "TASK_OVERDUE": insert_task,
    "WORK_ORDER_OVERDUE": insert_work_order,
    "DEVICE_OFFLINE": insert_device,
    "MISSING_CHECK_OUT": insert_check_in,
}


@pytest.mark.parametrize("kind", ABSENCES)
def test_it_is_told_at_its_time(world: World, company: Company, kind: str) -> None:
    due_at = datetime.now(UTC) + AGO(seconds=DUE_S)
    with listen(world, company.tenant) as operator:
        ABSENCES[kind](company, due_at)
        _, finding = heard(operator, kind)
        late_s = (datetime.now(UTC) - due_at).total_seconds()
    assert 0 <= late_s <= DELAY_S_MAX
    assert abs((datetime.fromisoformat(finding["created_at"]) - due_at).total_seconds()) < 0.1


def test_a_worker_that_is_killed_while_it_waits_tells_all_of_them_once(world: World, company: Company) -> None:
    due_at = datetime.now(UTC) + AGO(seconds=DUE_S)
    with listen(world, company.tenant) as operator:
        with world.stack.processing(ticket=1, jobneed=1, work_order=1, device=1, attendance=1):
            for insert in ABSENCES.values():
                insert(company, due_at)
        before = world.stack.pid("worker")
        os.kill(before, signal.SIGKILL)
        until(lambda: world.stack.pid("worker") != before, "the worker is started again", within_s=60)
        until(lambda: world.stack.is_ready("worker"), "the worker is ready again", within_s=60)
        back_at = max(datetime.now(UTC), due_at)
        told = [types_of(operator.expect("anomaly_detected")) for _ in ABSENCES]
        late_s = (datetime.now(UTC) - back_at).total_seconds()
        assert operator.collect(1.0) == []
    assert sorted(kind for kinds in told for kind in kinds) == sorted(ABSENCES)
    assert late_s <= DELAY_S_MAX


def test_rows_older_than_the_worker_are_told_at_their_time(world: World) -> None:
    tenant = world.older_tenant
    with listen(world, tenant) as operator:
        operator.send(type="resume", epoch=operator.greeting["epoch"], seq=0)
        first = operator.expect("anomaly_detected")
        second = operator.expect("anomaly_detected", timeout_s=60)
        heard_at = datetime.now(UTC)
        assert operator.collect(1.0) == []
    assert [each["event_id"].split("@")[0].split(":")[:2] for each in (first, second)] == [
        ["ticket", str(tenant + 2)],
        ["ticket", str(tenant + 1)],
    ]
    assert types_of(first) == types_of(second) == ["TICKET_SLA_BREACH"]
    created_at = datetime.fromisoformat(second["findings"][0]["created_at"])
    assert abs((created_at - world.older_due_at).total_seconds()) < 0.1
    assert heard_at >= world.older_due_at


def types_of(message: dict[str, object]) -> list[str]:
    findings = message["findings"]
    assert isinstance(findings, list)
    return [finding["finding_type"] for finding in findings]
