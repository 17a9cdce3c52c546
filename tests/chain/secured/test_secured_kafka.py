"""A cluster that asks for TLS, a client certificate and a password: the whole chain runs on it (R5).

Also of streams/engine/kafka/faust_app.py and common/kafka.py.
"""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from support.operator import STREAM, Operator, fresh_id, insert
from support.secured_broker import secured_broker
from support.stack import RunningStack
from support.stack_fixtures import TWO_DETECTORS, passable_directory

from common.settings.kafka import KafkaSettings
from deploy.embedded.config import plain_settings

WRONG: dict[str, tuple[dict[str, Any], str, str]] = {
    "password": ({"sasl_password": "another"}, "refuses user watchfloor", "kafka.sasl_password"),
    "user": ({"sasl_username": "somebody"}, "refuses user somebody", "kafka.sasl_username"),
    "no certificate": ({"ssl_certificate_file": None, "ssl_key_file": None}, "as SASL_SSL", "kafka.ssl_key_file"),
    "protocol": ({"security_protocol": "PLAINTEXT"}, "spoken to as PLAINTEXT", "kafka.security_protocol"),
}
pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def secured() -> Iterator[KafkaSettings]:
    with passable_directory() as directory, secured_broker(directory) as kafka:
        yield kafka


def variables(kafka: KafkaSettings) -> dict[str, str]:
    """The same settings as environment variables."""
    return {f"WATCHFLOOR_KAFKA__{name.upper()}": str(value) for name, value in plain_settings(kafka).items()}


def run(
    command: str, kafka: KafkaSettings, more: Mapping[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "watchfloor", *command.split()],
        env=os.environ | variables(kafka) | dict(more or {}),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("guarantee", ["journal", "transactions"])
def test_a_row_becomes_a_message_and_every_command_signs_in(secured: KafkaSettings, guarantee: str) -> None:
    kafka = secured.model_copy(update={"topic_prefix": guarantee})
    env = variables(kafka) | TWO_DETECTORS | {"WATCHFLOOR_WORKER__GUARANTEE": guarantee}
    with (
        passable_directory() as directory,
        RunningStack.start(directory / "state", ["--kafka", kafka.bootstrap_servers], env=env) as stack,
        Operator(stack, tenant := fresh_id(), STREAM) as operator,
        stack.connection() as session,
    ):
        insert(session, "attendance", tenant_id=tenant, person_id=1, verified_person_id=2, event_type="CHECK_IN")
        assert operator.expect("anomaly_detected")["findings_count"] == 1
        where = f"--state-dir {stack.state_dir}"
        for command in (f"doctor {where}", f"connect status {where}", f"connect apply {where}"):
            done = run(command, kafka)
            assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_sign_in_is_one_line_that_says_what_to_do(secured: KafkaSettings, wrong: str, tmp_path: Path) -> None:
    changes, problem, advice = WRONG[wrong]
    content = plain_settings(secured) | changes
    kafka = KafkaSettings.model_validate({name: value for name, value in content.items() if value is not None})
    gateway = {
        "WATCHFLOOR_AUTH__HS256_SECRET": "x" * 40,
        "WATCHFLOOR_GATEWAY__PORT": "29999",
        "WATCHFLOOR_GATEWAY__READER__BROKER_WAIT_S_MAX": "1",
    }
    for command in ("worker", "gateway"):
        done = run(command, kafka, gateway)
        (line,) = [line for line in done.stderr.splitlines() if line.startswith("watchfloor: ")]
        assert done.returncode == 1
        assert problem in line, command
        assert advice in line, command
        assert "Traceback" not in done.stderr
