"""A tenant whose rows these tests write: two sites, a person, a shift that covers now; and the stack that watches."""

import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from support.operator import STREAM, Operator, insert, update
from support.stack import RunningStack

LATITUDE, LONGITUDE = 52.52, 13.405
FOUNDING = {"tenant": 1, "client": 1, "site": 2, "person": 1, "assignment": 1}
"""Table to its rows, of everything that events refer to."""
SNAPSHOT_SLA_S = 50.0
"""From the moment at which the old rows are written, the stack's start in between."""
AGO = timedelta


@dataclass
class World:
    """What the tests of detection share."""

    stack: RunningStack
    older_tenant: int
    """Its rows were there before the worker was."""
    older_due_at: datetime
    """When its ticket's time is up."""


class Company:
    """Rows of one tenant; what a test does not say is as it should be."""

    def __init__(self, session: "psycopg.Connection[Any]", tenant: int) -> None:
        self.session = session
        self.tenant = self.site = self.person = tenant
        self.elsewhere = tenant + 500_000_000_000

    def found(self) -> None:
        """Everything that events refer to."""
        now = datetime.now(UTC)
        self.add("tenant", id=self.tenant, name="Tenant", timezone="UTC")
        self.add("client", id=self.tenant, name="Client")
        place = {"latitude": LATITUDE, "longitude": LONGITUDE, "geofence_radius_m": 100.0, "timezone": "UTC"}
        self.add("site", id=self.site, client_id=self.tenant, name="Harbour", **place)
        self.add("site", id=self.elsewhere, client_id=self.tenant, name="Far away", **(place | {"latitude": 48.1}))
        self.add("person", id=self.person, name="Ann Example", phone="+1-555-867-5309", email="ann@planted.example")
        self.shift(now - AGO(hours=4), now + AGO(hours=4))

    def insert_old_rows(self, now: datetime) -> datetime:
        """A ticket whose time will be up, one whose time was up an hour ago, one that has ended, and a wrong face."""
        hours = SNAPSHOT_SLA_S / 3_600
        self.policy("ticket_sla_breach", high_hours_max=hours)
        due_at = now + AGO(seconds=SNAPSHOT_SLA_S)
        self.add("ticket", id=self.tenant + 1, status="OPEN", priority="HIGH", created_at=now)
        self.add("ticket", id=self.tenant + 2, status="OPEN", priority="HIGH", created_at=now - AGO(hours=1))
        self.add("ticket", id=self.tenant + 3, status="CLOSED", priority="HIGH", created_at=now - AGO(hours=1))
        self.check_in(verified_person_id=1)
        return due_at

    def add(self, table: str, **columns: Any) -> int:
        """Insert one row."""
        if table in {"ticket", "jobneed", "work_order", "device"}:
            columns.setdefault("site_id", self.site)
        return insert(self.session, table, tenant_id=self.tenant, **columns)

    def change(self, table: str, row_id: int, **columns: Any) -> None:
        """Update one row."""
        update(self.session, table, row_id, **columns)

    def shift(self, start: datetime, end: datetime, **more: Any) -> int:
        """An assignment of the person to the site."""
        row = {"person_id": self.person, "site_id": self.site, "shift_start": start, "shift_end": end}
        return self.add("assignment", **(row | more))

    def policy(self, detector: str, **fields: Any) -> int:
        """Thresholds of the whole tenant."""
        return self.add("policy", detector=detector, settings=json.dumps(fields))

    def check_in(self, **columns: Any) -> int:
        """The person checks in now, where it should."""
        row = {"site_id": self.site, "person_id": self.person, "verified_person_id": self.person}
        row |= {"event_type": "CHECK_IN", "occurred_at": datetime.now(UTC)}
        row |= {"latitude": LATITUDE, "longitude": LONGITUDE, "accuracy_m": 8.0}
        return self.add("attendance", **(row | columns))

    def check_out(self, **columns: Any) -> int:
        """And out again."""
        return self.check_in(**({"event_type": "CHECK_OUT"} | columns))

    def fix(self, **columns: Any) -> int:
        """A fix of the person's phone, at the site, now."""
        row = {"site_id": self.site, "person_id": self.person, "device_id": self.tenant, "is_mock": False}
        row |= {"latitude": LATITUDE, "longitude": LONGITUDE, "accuracy_m": 8.0, "speed_mps": 0.0}
        return self.add("location", **(row | {"recorded_at": datetime.now(UTC)} | columns))


def heard(operator: Operator, kind: str, timeout_s: float = 20.0) -> tuple[dict[str, Any], dict[str, Any]]:
    """The next message that has a finding of this type, and the finding.

    Raises:
        AssertionError: none comes in time; with what came instead.
    """
    deadline, others = time.monotonic() + timeout_s, list[str]()
    while (left := deadline - time.monotonic()) > 0:
        try:
            message = operator.expect("anomaly_detected", timeout_s=left)
        except AssertionError:
            break
        for finding in message["findings"]:
            if finding["finding_type"] == kind:
                return message, finding
            others.append(finding["finding_type"])
    raise AssertionError(f"no {kind} within {timeout_s:g} s; heard {others}")


def listen(world: World, tenant: int) -> Operator:
    """An operator at the stream, where findings come with their evidence."""
    return Operator(world.stack, tenant, STREAM)
