"""Health, its metrics and the feed's status tell what the doctor tells: that rows are lost, or writes fail, and since when."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.capture_databases import Database, beat, owners_session
from support.gateway_process import free_port
from support.stack import RunningStack
from support.waiting import happens, until

from common.settings.load import Settings
from connect.schema import apply_schema
from connect.slot import forget_gaps

UNGUARDED = "DROP EVENT TRIGGER watchfloor_keep_writes_working; ALTER TABLE watchfloor.heartbeat DISABLE TRIGGER ALL; "
GUARDED = "ALTER TABLE watchfloor.heartbeat ENABLE TRIGGER ALL"
SLOT = "SELECT pg_create_logical_replication_slot('{p}', 'pgoutput')"
FAULTS = {
    "no publication": ("DROP PUBLICATION {p}", "", "all tables are lost", "loses"),
    "a table removed": ("ALTER PUBLICATION {p} DROP TABLE ticket", "", "changes of ticket are lost", "loses"),
    "no slot": ("SELECT pg_drop_replication_slot('{p}')", SLOT, "changes of all tables are lost", "loses"),
    "a table swapped by rename": (
        UNGUARDED + "CREATE TABLE n (LIKE site INCLUDING ALL); ALTER TABLE site RENAME TO o; ALTER TABLE n RENAME TO site",
        GUARDED,
        "changes of site are lost",
        "loses",
    ),
    "a table renamed": ("ALTER TABLE device RENAME TO d", "ALTER TABLE d RENAME TO device", "of device are lost", "loses"),
    "no replica identity": (
        f"{UNGUARDED} ALTER TABLE jobneed REPLICA IDENTITY NOTHING",
        GUARDED,
        "writes to jobneed fail",
        "breaks_writes",
    ),
    "deletes without tenant": (
        "ALTER TABLE client ADD COLUMN v int GENERATED ALWAYS AS (1) VIRTUAL",
        "ALTER TABLE client DROP COLUMN v",
        "deletes of client are not processed",
        "partial",
    ),
    "no right to read": ("REVOKE SELECT ON person FROM {p}", "", "not prepared for the capture of person", "unprepared"),
}  # fmt: skip


class Health:
    """A gateway that watches a database of the test's own."""

    def __init__(self, port: int, admin_port: int) -> None:
        self._url, self._metrics_url = (f"http://127.0.0.1:{each}" for each in (port, admin_port))

    def ask(self) -> dict[str, Any]:
        try:
            answer = httpx.get(f"{self._url}/api/noc/health/", timeout=5, trust_env=False)
        except httpx.HTTPError:
            return {"database": {"state": "none", "detail": ""}}
        content: dict[str, Any] = answer.json()
        return {"code": answer.status_code, "feed": content["feed"], "database": content["components"]["database"]}

    def detail(self) -> str:
        return str(self.ask()["database"]["detail"])

    def metric(self, effect: str) -> bool:
        return (
            f'watchfloor_gateway_capture_problems{{effect="{effect}"}} 1.0'
            in httpx.get(f"{self._metrics_url}/metrics", timeout=5, trust_env=False).text
        )


@pytest.fixture
def owner(scratch: Settings) -> Iterator[Database]:
    apply_schema(scratch.source)
    with owners_session(scratch.source) as session:
        session.execute(SLOT.format(p=scratch.source.slot).encode())
        yield session
        session.execute(
            "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = current_database()"
        )


@pytest.fixture
def health(stack: RunningStack, scratch: Settings, owner: Database, tmp_path: Path) -> Iterator[Health]:
    port, admin_port, source = free_port(), free_port(), scratch.source
    own = {
        "GATEWAY__PORT": port, "GATEWAY__ADMIN__PORT": admin_port, "GATEWAY__HEALTH__INTERVAL_S": 1, "GATEWAY__FEED_STATUS__HOLD_S": 0,
        "SOURCE__DATABASE": source.database, "SOURCE__USER": source.user, "SOURCE__SLOT": source.slot,
        "SOURCE__PASSWORD": source.password.get_secret_value(), "SOURCE__PUBLICATION": source.publication,
    }  # fmt: skip
    with (tmp_path / "gateway.log").open("wb") as words:
        process = subprocess.Popen(
            [sys.executable, "-m", "watchfloor", "--config", str(stack.state_dir / "watchfloor.toml"), "gateway"],
            env=os.environ | {f"WATCHFLOOR_{name}": str(value) for name, value in own.items()},
            stdout=words,
            stderr=words,
            stdin=subprocess.DEVNULL,
        )
    watching = Health(port, admin_port)
    try:
        until(lambda: watching.detail() == "PostgreSQL answers", "the database is healthy", within_s=60)
        yield watching
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0, (tmp_path / "gateway.log").read_text("utf-8")


def run(session: Database, statements: str, name: str) -> None:
    for statement in filter(None, statements.format(p=name).split("; ")):
        session.execute(statement.encode())


def test_health_says_what_the_doctor_says(scratch: Settings, owner: Database, health: Health) -> None:
    name = scratch.source.publication
    for fault, (broken, mended, words, effect) in FAULTS.items():
        assert not health.metric(effect)
        run(owner, broken, name)
        assert happens(lambda words=words: words in health.detail(), within_s=20), (fault, health.ask())  # type: ignore[misc]
        found = health.ask()
        assert (found["code"], found["database"]["state"]) == (
            (503, "unhealthy") if effect in ("loses", "breaks_writes") else (found["code"], "degraded")
        ), fault
        assert (found["database"]["rows_lost_since"] is not None) == (effect == "loses"), (fault, found)
        until(lambda effect=effect: health.metric(effect), f"a metric says {effect}")  # type: ignore[misc]
        if effect == "loses":
            until(lambda: health.ask()["feed"]["component"] == "database", "clients are told")
            beat(scratch.source)
        run(owner, mended, name)
        apply_schema(scratch.source)
        beat(scratch.source)
        if effect == "loses" and fault != "no slot":
            assert happens(lambda: "were lost" in health.detail(), within_s=20), (fault, health.ask())
            assert health.ask()["database"]["rows_lost_since"] is not None
            until(lambda: health.metric("lost"), "a metric says lost")
        forget_gaps(scratch.source)  # as `connect apply --new-snapshot` does
        assert happens(lambda: health.detail() == "PostgreSQL answers", within_s=20), (fault, health.ask())
        until(lambda: health.ask()["feed"]["state"] == "live", "clients are told that it is over")
