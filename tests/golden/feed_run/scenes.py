"""What happens to two more tenants of the recorded run: everything that a plausible life does not have.

References that come late or never, bursts over the limit, policies changed by rows, deletes, snapshot rows, records
that nobody can read, and rows with absurd values.
"""

import random
from dataclasses import replace
from datetime import timedelta

from absurd import absurd_row
from rows import Commit, Row, TenantRows

_HOUR_S = 3_600.0
_ABSURD_ROWS = 420


class Scenes(TenantRows):
    """One scene after the other, within six days."""

    def commits(self) -> list[Commit]:
        """Every scene, in the order of the commits."""
        hours = 0.0
        for scene in (
            self._snapshot,
            self._trips,
            self._waits,
            self._bursts,
            self._ties,
            self._tickets,
            self._policies,
            self._deletes,
            self._unreadable,
            self._sizes_and_clocks,
            self._second_snapshot,
            self._absurd,
        ):
            self.go_to(hours)
            scene()
            hours = max(hours + 6.0, (self.at - self.start).total_seconds() / _HOUR_S + 1.0)
        return self.made

    def another_database(self) -> list[Commit]:
        """The first rows of another database in the same topics."""
        self._snapshot()
        self._tickets()
        return [replace(self.made[0], new_database=True), *self.made[1:]]

    def _snapshot(self) -> None:
        """Rows that teach, some of them about times that have passed."""
        self.put("tenant", {"name": "Odd & Sons", "timezone": "Europe/Berlin"}, op="r")
        self.put("client", {"id": 9, "name": "Docks"}, op="r")
        self.site(91, op="r")
        for person in (901, 902, 903):
            self.put("person", {"id": person, "name": f"Person {person}"}, op="r")
            self.shift(person, person, op="r", hours=60)
        self.check(op="r", verified_person_id=902)
        for number, hours in ((1, 5), (2, 100), (3, 1)):
            self.ticket(number, op="r", created_at=self.at - timedelta(hours=hours))
        seen = {"last_seen": self.at - timedelta(minutes=5), "status": "ONLINE"}
        self.put("device", {"id": 995, "site_id": 91, "name": "camera"} | seen, op="r")
        due = {"due_at": self.at - timedelta(minutes=1), "status": "OPEN"}
        self.put("work_order", {"id": 9, "site_id": 91} | due, op="r")
        self.wait(3)
        self.check()

    def _trips(self) -> None:
        """Somebody on duty walks off, drives off and comes back; somebody else's phone has made its positions up."""
        self.check()
        for away in (*range(5), *range(5, 60, 6), *range(59, 0, -6), 0, 0, 0):
            speed_mps = 15.0 if away >= 5 else 0.4
            self.wait(45)
            self.fix(latitude=52.5 + away * 0.001, speed_mps=speed_mps)
            self.fix(person=903, latitude=52.5 + away * 0.000_01, is_mock=away % 7 == 3)
        self.check(event_type="CHECK_OUT")

    def _waits(self) -> None:
        """References that come in time, too late, never; more events than may wait; one taken back meanwhile."""
        self.check(person=910, site=92, verified_person_id=901)
        self.fix(person=910)
        self.wait(0.5)
        self.site(92)
        self.put("person", {"id": 910, "name": "Late"})
        self.wait(0.2)
        self.shift(910, 910, site=92)
        self.check(person=911, site=93)
        self.wait(4)
        self.site(93)
        self.put("person", {"id": 911, "name": "Later"})
        for person in range(912, 922):
            self.check(person=person)
        row = self.check(person=930)
        self.put("attendance", None, row)
        row = self.check(person=931)
        self.put("attendance", row | {"verified_person_id": 902}, row)
        self.wait(10)
        self.check(person=912)
        self.wait(400)
        self.check(person=912)
        self.wait(30)

    def _bursts(self) -> None:
        """Over the limit: told by a tick, by the next row, while it lasts, and with a limit that is changed in it."""
        row = self.put("tenant", {"name": "Odd & Sons", "max_events_per_second": 2}, {"name": "Odd & Sons"})
        for size, pause_s in ((9, 5.0), (3, 0.9), (7, 0.3), (6, 1.0)):
            for _ in range(size):
                self.check(verified_person_id=902)
            self.wait(pause_s)
        for _ in range(40):  # longer than the interval of the reports
            self.fix()
            self.wait(0.28)
        self.put("tenant", row | {"max_events_per_second": 6}, row)
        for number in range(12):
            self.ticket(700 + number)
        self.ticket(700, self.ticket(700), status="OPEN")
        self.wait(20)
        self.put("tenant", {"name": "Odd & Sons", "max_events_per_second": None}, row)

    def _ties(self) -> None:
        """What is due at the same millisecond: the end of a burst and deadlines of several tables."""
        self.at = second = self.at.replace(microsecond=0) + timedelta(seconds=1)
        for seconds in range(1, 5):
            due = second + timedelta(seconds=seconds)
            self.put("work_order", {"id": 120 - seconds, "site_id": 91, "status": "OPEN", "due_at": due})
            self.put("jobneed", {"id": 100 + seconds, "site_id": 91, "status": "ASSIGNED", "due_at": due})
            self.ticket(110 - seconds, created_at=due - timedelta(hours=4))
            self.ticket(120 - seconds, created_at=due - timedelta(hours=4))
        self.wait(0.2)
        for _ in range(5):
            self.check()
        self.wait(20)

    def _tickets(self) -> None:
        """Changes of status, one without its old row, an escalation, a breach that a row comes before."""
        for number, priority in enumerate(("CRITICAL", "HIGH", "MEDIUM", "LOW", None, "URGENT")):
            row = self.ticket(10 + number, priority=priority, description="Leak " * 60, ticket_no=f"T{number}")
            for status in ("OPEN", "IN_PROGRESS", "RESOLVED", "OPEN"):
                self.wait(40)
                row = self.ticket(0, row, status=status, assigned_to=901)
            self.ticket(0, row, escalation_level=1 + number)
        self.put("ticket", {"id": 12, "status": "CLOSED"}, op="u")
        self.wait(5 * _HOUR_S)
        self.ticket(0, row, status="CLOSED")

    def _policies(self) -> None:
        """Thresholds for the tenant, a client and a site; changed, refused and deleted while timers wait."""
        self.ticket(30)
        self.ticket(31, priority="LOW")
        mine = self.policy(1, "ticket_sla_breach", {"high_hours_max": 0.2, "low_hours_max": 0.5})
        client = self.policy(2, "ticket_sla_breach", {"high_hours_max": 0.1}, client_id=9)
        self.policy(3, "late_check_in", {"grace_s_max": 60}, site_id=91)
        self.policy(4, "wrong_person", {"enabled": False}, site_id=92)
        self.wait(60)
        self.check(site=92, verified_person_id=902)
        for detector, settings in (
            ("ticket_sla_breach", {"high_hours_max": -1}),
            ("ticket_sla_breach", {"high_hours": 2}),
            ("ticket_sla_breach", "[1"),
            ("ticket_sla_breach", "[]"),
            ("no_such_detector", {}),
            ("phone_events", {"weeks_min": 99}),
        ):
            self.policy(1, detector, settings, mine)
        self.wait(500)
        self.policy(2, "ticket_sla_breach", {"high_hours_max": 0.15}, client, client_id=9)
        self.ticket(32)
        self.wait(600)
        self.put("policy", None, {"id": 2, "client_id": 9, "detector": "ticket_sla_breach", "settings": "{}"})
        self.shift(905, 901)
        self.wait(120)
        self.check()
        self.policy(5, "overtime", {"day_hours_max": 1, "rounding_s": 0})
        self.policy(6, "task_overdue", {"enabled": False})
        self.put("jobneed", {"id": 41, "site_id": 91, "status": "ASSIGNED", "due_at": self.at})
        self.policy(6, "task_overdue", {"enabled": True}, {"id": 6, "detector": "task_overdue"})
        self.put("jobneed", {"id": 42, "site_id": 91, "status": "ASSIGNED", "due_at": self.at})
        self.wait(2 * _HOUR_S)
        self.check(event_type="CHECK_OUT")

    def _deletes(self) -> None:
        """Rows that go, with what waited for their times; shifts that move."""
        row = self.ticket(50)
        self.put("ticket", None, row)
        row = self.put("work_order", {"id": 51, "site_id": 91, "status": "OPEN", "due_at": self.at})
        self.put("work_order", None, row)
        moved = self.shift(960, 903)
        self.check(person=903)
        self.wait(60)
        later = {"shift_end": self.at + timedelta(hours=1)}
        moved = self.put("assignment", moved | later, moved)
        self.put("assignment", moved | {"person_id": 902}, moved, with_last=True)
        self.put("assignment", None, moved | {"person_id": 902})
        self.put("person", None, {"id": 902, "name": "Person 902"})
        self.put("site", None, {"id": 92, "name": "Yard 92"})
        self.put("device", None, {"id": 995, "site_id": 91, "name": "camera"})
        self.check(person=902, site=92)
        self.wait(30)

    def _unreadable(self) -> None:
        """Records that are no changes, and some that say nothing."""
        good = b'"source":{"ts_us":1,"lsn":1,"sequence":"[null,\\"1\\"]"}'
        values: tuple[bytes | None, ...] = (
            None, b"", b"{", b"\xff\xfe", b"[]", b"null", b"[" * 3_000, b'{"ts_ms":5}', b'{"op":"t",' + good + b"}",
            b'{"op":"m",' + good + b"}", b'{"op":"z",' + good + b"}", b'{"op":"c",' + good + b"}",
            b'{"op":"c","after":{"id":"x","tenant_id":4},' + good + b"}",
            b'{"op":"d","before":{"id":1,"tenant_id":0},' + good + b"}",
            b'{"op":"c","after":{"id":1,"tenant_id":4},"source":{"ts_us":-1,"lsn":1,"sequence":"[null,\\"1\\"]"}}',
            b'{"op":"c","after":{"id":1,"tenant_id":4},"source":{"ts_us":1,"lsn":1,"sequence":"[]"}}',
        )  # fmt: skip
        for number, value in enumerate(values):
            self.wait(3)
            table = ("attendance", "ticket", "site", "device")[number % 4]
            self.made.append(Commit(round(self.at.timestamp() * 1e6), self.tenant, table, raw=True, value=value))
            self.check(verified_person_id=902 + number % 2)

    def _sizes_and_clocks(self) -> None:
        """Too large for the feed, too large for a dead letter, unchanged long texts, a clock that is ahead."""
        for letters in (4_100, 9_000):
            self.ticket(60, self.ticket(60, ticket_no="T" * letters), ticket_no="T" * letters, status="OPEN")
        self.site(91, op="u", geofence="__debezium_unavailable_value", name="Yard 91, renamed")
        self.fix(latitude=52.6, speed_mps=20.0)
        self.put("ticket", {"id": 61, "site_id": 91, "status": "NEW", "priority": "HIGH"}, ahead_ms=_ms(1.0))
        self.wait(1)
        self.put("ticket", {"id": 62, "site_id": 91, "status": "OPEN"}, {"id": 62, "status": "NEW"}, ahead_ms=_ms(30))
        self.wait(10)
        for number in range(8):
            self.put("device", {"id": 996 + number % 2, "site_id": 91, "status": "OFFLINE" if number % 3 else "ONLINE"})
            self.wait(30)

    def _second_snapshot(self) -> None:
        """An incremental snapshot in the middle of the stream."""
        self.put("tenant", {"name": "Odd & Sons", "timezone": "Asia/Kathmandu"}, op="r")
        self.site(91, op="r", name="Yard 91, read again")
        self.ticket(70, op="r", created_at=self.at - timedelta(hours=4))
        self.check(op="r", verified_person_id=902)
        self.wait(3)
        self.check()

    def _absurd(self) -> None:
        """Rows of every table and operation with values that nobody would write; each tenant has its own."""
        chance = random.Random(self.tenant)
        held: dict[tuple[str, int], Row] = {}
        tables = [
            *("attendance", "location", "jobneed", "ticket", "work_order", "device") * 3,
            "site",
            "person",
            "assignment",
        ]
        for _ in range(_ABSURD_ROWS):
            self.wait(chance.choice((0, 0.3, 1, 60, 600, 2_000)))
            table = chance.choice(tables)
            number = 800 + chance.randrange(6)
            op = chance.choice("cccuurd")
            row = {"id": number} | absurd_row(table, chance, self.at)
            before = held.get((table, number), row) if op in "ud" else None
            self.put(table, None if op == "d" else row, before, op)
            held[table, number] = row


def _ms(hours: float) -> int:
    return round(hours * _HOUR_S * 1_000)
