"""Every finding type of the contract comes from rows in PostgreSQL, with the numbers by which it can be redone."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from chain.detection.watched_company import AGO, LATITUDE, Company, World, heard, listen

from contracts.findings import FindingType

pytestmark = pytest.mark.timeout(240)
CASES: dict[str, tuple[Callable[[Company], None], dict[str, Any] | set[str]]] = {}
"""Finding type to what brings it about, and the evidence that it must have: values, or just names."""


def case(
    kind: str, evidence: dict[str, Any] | set[str]
) -> Callable[[Callable[[Company], None]], Callable[[Company], None]]:
    def keep(write: Callable[[Company], None]) -> Callable[[Company], None]:
        CASES[kind] = (write, evidence)
        return write

    return keep


def now(**ago: float) -> datetime:
    return datetime.now(UTC) - AGO(**ago)


@case("WRONG_PERSON", {"observed_person_id": 1})
def wrong_person(company: Company) -> None:
    company.check_in(verified_person_id=1)


@case("UNAUTHORIZED_SITE", {"observed_site_id", "expected_site_ids"})
def unauthorized_site(company: Company) -> None:
    company.check_in(site_id=company.elsewhere, latitude=48.1)


@case("IMPOSSIBLE_SHIFTS", {"observed_site_id", "other_site_id", "other_at", "reason"})
def impossible_shifts(company: Company) -> None:
    company.check_in(occurred_at=now(minutes=20))
    company.check_in(site_id=company.elsewhere, latitude=48.1, occurred_at=now(minutes=5))


@case("OVERTIME_VIOLATION", {"threshold_hours", "observed_hours"})
def overtime(company: Company) -> None:
    company.policy("overtime", day_hours_max=2.0)
    company.check_in(occurred_at=now(hours=6))
    company.check_out(occurred_at=now(seconds=1))


@case("LATE_CHECK_IN", {"observed_s", "threshold_s", "expected_at"})
def late_check_in(company: Company) -> None:
    company.policy("late_check_in", grace_s_max=60.0)
    company.check_in()


@case("MISSING_CHECK_OUT", {"expected_by", "observed_hours"})
def missing_check_out(company: Company) -> None:
    company.policy("missing_check_out", grace_s_max=0.0, upload_s_max=0.0)
    company.shift(now(hours=2), now(seconds=-2), site_id=company.elsewhere)
    company.check_in(site_id=company.elsewhere, latitude=48.1, occurred_at=now(hours=2))


@case("TASK_OVERDUE", {"observed_minutes", "threshold"})
def task_overdue(company: Company) -> None:
    company.add("jobneed", job_type="TASK", title="Doors", status="ASSIGNED", due_at=now(seconds=-1))


@case("CHECKPOINTS_SKIPPED", {"observed": 6, "expected": 8, "skipped": 2})
def checkpoints_skipped(company: Company) -> None:
    tour = {"job_type": "TOUR", "title": "Night", "checkpoints_expected": 8, "due_at": now(hours=-1)}
    row = company.add("jobneed", status="IN_PROGRESS", started_at=now(minutes=9), checkpoints_scanned=0, **tour)
    company.change("jobneed", row, status="COMPLETED", completed_at=now(), checkpoints_scanned=6)


@case("TICKET_SLA_BREACH", {"priority": "HIGH", "threshold": 4.0})
def ticket_sla_breach(company: Company) -> None:
    company.add("ticket", status="OPEN", priority="HIGH", created_at=now(hours=3.9997))


@case("TICKET_ESCALATED", {"observed": 2, "expected": 0})
def ticket_escalated(company: Company) -> None:
    row = company.add("ticket", status="OPEN", priority="LOW", escalation_level=0)
    company.change("ticket", row, escalation_level=2)


@case("WORK_ORDER_OVERDUE", {"threshold"})
def work_order_overdue(company: Company) -> None:
    company.add("work_order", status="OPEN", vendor="Otis", due_at=now(seconds=-1))


@case("DEVICE_OFFLINE", {"reason": "silent", "threshold": 0.02})
def device_offline(company: Company) -> None:
    company.policy("device_offline", silent_minutes_max=0.02, silent_intervals_max=0.0)
    company.add("device", name="Phone", status="ONLINE", last_seen=now(), battery_percent=80.0)


@case("DATA_QUALITY", {"reason": "too_large", "column": "battery_percent", "observed": 130.0, "threshold": 100.0})
def data_quality(company: Company) -> None:
    company.add("device", name="Phone", status="ONLINE", last_seen=now(), battery_percent=130.0)


@case("UNEXPECTED_LOCATION", {"observed_m", "threshold_m", "accuracy_m"})
def unexpected_location(company: Company) -> None:
    company.check_in(latitude=LATITUDE + 0.02)


@case("GEOFENCE_VIOLATION", {"observed_m", "threshold", "n"})
def geofence_violation(company: Company) -> None:
    company.check_in(occurred_at=now(hours=1))
    for minutes in (12, 9, 6, 3):
        company.fix(latitude=LATITUDE + 0.01, recorded_at=now(minutes=minutes))


@case("LOCATION_SPOOFING", {"reason": "mock"})
def location_spoofing(company: Company) -> None:
    company.fix(is_mock=True)


@case("UNEXPECTED_MOVEMENT", {"observed_mps", "threshold", "displaced_m"})
def unexpected_movement(company: Company) -> None:
    company.check_in(occurred_at=now(hours=1))
    for minutes in range(5):
        company.fix(latitude=LATITUDE + 0.01 * minutes, recorded_at=now(minutes=10 - minutes))


@case("UNUSUAL_COMPLETION_TIME", {"observed": 300.0, "n": 6, "threshold": 3.5})
def unusual_completion_time(company: Company) -> None:
    company.policy("unusual_completion_time", jobs_min=6)
    for minutes in (10, 11, 9, 10, 12, 9, 300):
        times = {"started_at": now(minutes=minutes), "completed_at": now()}
        company.add("jobneed", job_type="TASK", title="Doors", status="COMPLETED", person_id=company.person, **times)


@pytest.mark.parametrize("kind", CASES)
def test_it_comes_with_its_evidence(world: World, company: Company, kind: str) -> None:
    write, evidence = CASES[kind]
    with listen(world, company.tenant) as operator:
        write(company)
        message, finding = heard(operator, kind)
    given = finding["evidence"]
    if isinstance(evidence, dict):
        assert {name: given.get(name) for name in evidence} == evidence
    else:
        assert evidence <= {name for name, value in given.items() if value is not None}, given
    assert finding["severity"] in {"INFO", "LOW", "MEDIUM", "HIGH", "CRITICAL"}
    assert message["detection_latency_ms"] >= 0


def test_these_are_all_of_the_contract() -> None:
    """The learned ones, which take weeks, are in test_learned.py."""
    assert {kind for kind in FindingType if not kind.startswith("ANOMALY_")} == set(CASES)
