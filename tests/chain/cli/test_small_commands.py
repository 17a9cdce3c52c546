"""token, tail and doctor against the real chain.

Also of watchfloor/doctor/kafka_checks.py.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from support.stack import RunningStack
from support.waiting import until

TENANT = 7_301
OTHER_TENANT = 7_302


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "watchfloor", *arguments]


def environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("WATCHFLOOR_")} | {"NO_COLOR": "1"}


def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command(*arguments), env=environment(), capture_output=True, text=True, timeout=60, check=False
    )


@pytest.fixture
def tail(stack: RunningStack) -> Iterator[Callable[..., "subprocess.Popen[str]"]]:
    """Start `watchfloor tail …` and wait until it is connected."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            command("tail", *arguments), env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        started.append(process)
        assert process.stderr is not None
        assert "connected as tenant" in process.stderr.readline()
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def reference_rows(connection: "psycopg.Connection[Any]", tenant: int) -> None:
    """A tenant with a site, two persons and a shift of the first one, each id made from the tenant's."""
    with connection.transaction():
        connection.execute(
            "INSERT INTO tenant (id, tenant_id, name) VALUES (%s, %s, 'T') ON CONFLICT DO NOTHING", (tenant, tenant)
        )
        connection.execute(
            "INSERT INTO site (id, tenant_id, name) VALUES (%s, %s, 'Main Gate') ON CONFLICT DO NOTHING",
            (tenant, tenant),
        )
        for number, name in ((1, "Clara Quillan"), (2, "Hugo Engstrand")):
            connection.execute(
                "INSERT INTO person (id, tenant_id, name) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
                (tenant * 10 + number, tenant, name),
            )
        connection.execute(
            "INSERT INTO assignment (id, tenant_id, person_id, site_id, shift_start, shift_end)"
            " VALUES (%s, %s, %s, %s, now() - interval '1 hour', now() + interval '1 hour') ON CONFLICT DO NOTHING",
            (tenant, tenant, tenant * 10 + 1, tenant),
        )


def wrong_person(connection: "psycopg.Connection[Any]", tenant: int) -> None:
    connection.execute(
        "INSERT INTO attendance (id, tenant_id, site_id, person_id, verified_person_id, event_type, occurred_at)"
        " SELECT coalesce(max(id), 0) + 1, %s, %s, %s, %s, 'CHECK_IN', now() FROM attendance",
        (tenant, tenant, tenant * 10 + 1, tenant * 10 + 2),
    )


def first_line(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def test_tail_shows_a_row_that_is_committed_while_it_watches(
    stack: RunningStack, connection: "psycopg.Connection[Any]", tail: Callable[..., Any]
) -> None:
    reference_rows(connection, TENANT)
    process = tail("--state-dir", str(stack.state_dir), "--tenant", str(TENANT))
    wrong_person(connection, TENANT)
    line = first_line(process)
    assert "HIGH     WRONG_PERSON" in line
    assert "Main Gate" in line
    # Names are for those who may see them.
    assert "Quillan" not in line


def test_tail_shows_no_other_tenants_rows_and_names_where_asked(
    stack: RunningStack, connection: "psycopg.Connection[Any]", tail: Callable[..., Any]
) -> None:
    for tenant in (TENANT, OTHER_TENANT):
        reference_rows(connection, tenant)
    process = tail("--state-dir", str(stack.state_dir), "--tenant", str(OTHER_TENANT), "--names", "--json")
    wrong_person(connection, TENANT)
    wrong_person(connection, OTHER_TENANT)
    message = json.loads(first_line(process))
    assert message["site_id"] == OTHER_TENANT
    assert message["person_name"] == "Clara Quillan"


def test_a_token_signs_in_at_an_address(
    stack: RunningStack, connection: "psycopg.Connection[Any]", tail: Callable[..., Any], tmp_path: Any
) -> None:
    reference_rows(connection, TENANT)
    made = run(
        "token",
        "--tenant",
        str(TENANT),
        "--user",
        "ops",
        "--capability",
        "noc:view",
        "--capability",
        "noc:view_all_clients",
        "--state-dir",
        str(stack.state_dir),
    )
    assert made.returncode == 0, made.stderr
    token_file = tmp_path / "token"
    token_file.write_text(made.stdout)
    process = tail(
        "--url", stack.endpoints["websocket"], "--token-file", str(token_file), "--stream", "anomaly", "--json"
    )
    wrong_person(connection, TENANT)
    message = json.loads(first_line(process))
    assert message["type"] == "anomaly_detected"
    assert "WRONG_PERSON" in {finding["finding_type"] for finding in message["findings"]}


def test_doctor_finds_a_running_chain_well(stack: RunningStack) -> None:
    done = run("doctor", "--state-dir", str(stack.state_dir), "--json")
    results = json.loads(done.stdout)
    assert [result for result in results if result["state"] != "ok"] == []
    assert done.returncode == 0
    assert {result["component"] for result in results} == {
        "machine",
        "postgres",
        "kafka",
        "connect",
        "worker",
        "gateway",
    }
    from_settings = run("--config", str(stack.state_dir / "watchfloor.toml"), "doctor")
    assert from_settings.returncode == 0, from_settings.stdout
    assert "checks ok" in from_settings.stdout


def test_doctor_says_what_to_do_about_a_connector_that_is_gone(stack: RunningStack) -> None:
    path = f"/connectors/{stack.settings.connect.connector}"
    with stack.connect_client() as connect:
        connect.put(f"{path}/pause").raise_for_status()
        try:
            until(
                lambda: connect.get(f"{path}/status").json()["tasks"][0]["state"] == "PAUSED",
                "the connector pauses",
            )
            done = run("doctor", "--state-dir", str(stack.state_dir), "--json")
        finally:
            connect.put(f"{path}/resume").raise_for_status()
        until(
            lambda: connect.get(f"{path}/status").json()["tasks"][0]["state"] == "RUNNING",
            "the connector goes on",
        )
    assert done.returncode == 1
    problems = [result for result in json.loads(done.stdout) if result["state"] == "problem"]
    assert "connector task" in {result["check"] for result in problems}
    assert all(result["advice"] for result in problems)
