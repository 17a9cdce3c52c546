"""How Faust's own consumer signs in: as every other client."""

from pathlib import Path
from typing import Any

import pytest
from faust.transport.drivers.aiokafka import credentials_to_aiokafka_auth
from pydantic import SecretStr

from common.kafka import aiokafka_config
from common.settings.engine import GroupSettings
from common.settings.kafka import KafkaSettings
from streams.engine.kafka.faust_app import faust_app


@pytest.mark.parametrize("protocol", ["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"])
@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_it_is_given_what_an_aiokafka_client_is_given(protocol: Any, mechanism: Any, tmp_path: Path) -> None:
    kafka = KafkaSettings(
        bootstrap_servers="k1:1,k2:2",
        security_protocol=protocol,
        sasl_mechanism=mechanism,
        sasl_username="me",
        sasl_password=SecretStr("word"),
    )
    config = aiokafka_config(kafka)
    app = faust_app("group", config, 1, GroupSettings(), tmp_path)
    assert [f"{url.host}:{url.port}" for url in app.conf.broker] == ["k1:1", "k2:2"]
    given = credentials_to_aiokafka_auth(app.conf.broker_credentials)
    wanted = {"security_protocol": protocol} | {name: value for name, value in config.items() if name[0] == "s"}
    assert {name: value for name, value in given.items() if value is not None} == wanted
