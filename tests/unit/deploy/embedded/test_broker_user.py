"""The user that a storage of an earlier release gets."""

from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

import deploy.embedded.broker_user as module
from common.errors import WatchfloorError
from common.settings.kafka import KafkaSettings
from deploy.embedded.broker import USER, sign_in
from deploy.embedded.broker_user import FirstUser


class Broker:
    """Remembers which password it admits."""

    def admit(self, password: str) -> None:
        self.admitted = password


class Answer:
    def __init__(self, error: KafkaError | None) -> None:
        self._error = error

    def result(self) -> None:
        if self._error is not None:
            raise KafkaException(self._error)


def administrator(monkeypatch: pytest.MonkeyPatch, error: KafkaError | None = None) -> list[dict[str, Any]]:
    seen: list[dict[str, Any]] = []

    class Admin:
        def __init__(self, config: dict[str, Any]) -> None:
            seen.append(config)

        def alter_user_scram_credentials(self, users: list[Any], **_: Any) -> dict[str, Answer]:
            seen[0]["made"] = [(user.user, user.password) for user in users]
            return {USER: Answer(error)}

    monkeypatch.setattr(module, "AdminClient", Admin)
    return seen


def test_it_gets_the_kept_password_by_way_of_one_that_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    broker, seen = Broker(), administrator(monkeypatch)
    kafka = KafkaSettings.model_validate(sign_in(1, "kept"))
    FirstUser(broker, kafka).make(timeout_s=1)  # type: ignore[arg-type]
    assert (seen[0]["sasl.mechanism"], seen[0]["sasl.password"]) == ("PLAIN", broker.admitted)
    assert broker.admitted != "kept"
    assert seen[0]["made"] == [(USER, b"kept")]


def test_a_broker_that_refuses_is_one_clear_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    administrator(monkeypatch, KafkaError(KafkaError.CLUSTER_AUTHORIZATION_FAILED, "not allowed"))
    first = FirstUser(Broker(), KafkaSettings.model_validate(sign_in(1, "kept")))  # type: ignore[arg-type]
    with pytest.raises(WatchfloorError, match=r"Kafka's user cannot be made \(not allowed\)"):
        first.make(timeout_s=1)
