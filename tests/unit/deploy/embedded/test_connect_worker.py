"""What Connect is started with."""

from pathlib import Path

from common.settings.kafka import KafkaSettings
from common.settings.load import Settings
from deploy.embedded.broker import broker_overrides
from deploy.embedded.connect_worker import connect_overrides


def test_everything_listens_on_loopback() -> None:
    broker = broker_overrides(1, 2, Path("/d"))
    connect = connect_overrides(Settings(), 3, Path("/p"))
    assert broker["listeners"] == "CLIENTS://127.0.0.1:1,CONTROLLER://127.0.0.1:2"
    assert connect["listeners"] == "http://127.0.0.1:3"


def test_a_secured_cluster_is_passed_to_connect_and_its_clients() -> None:
    kafka = KafkaSettings.model_validate(
        {"security_protocol": "SASL_SSL", "sasl_username": "me", "sasl_password": 'p"w\\', "ssl_ca_file": "/ca.pem"}
    )
    values = connect_overrides(Settings(kafka=kafka), 1, Path("/p"))
    for prefix in ("", "producer.", "consumer.", "admin."):
        assert values[f"{prefix}security.protocol"] == "SASL_SSL"
        assert values[f"{prefix}ssl.truststore.location"] == "/ca.pem"
        assert 'ScramLoginModule required username="me" password="p\\"w\\\\";' in values[f"{prefix}sasl.jaas.config"]
