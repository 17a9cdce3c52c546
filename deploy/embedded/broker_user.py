"""Makes the user of a broker whose storage is of an earlier release, in which nobody had to sign in.

A new storage gets its user when it is formatted. In an existing one only a signed-in client can make a user, so the
broker admits a password of this one start.
"""

import secrets

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, ScramCredentialInfo, ScramMechanism, UserScramCredentialUpsertion

from common.errors import WatchfloorError
from common.kafka import librdkafka_config
from common.settings.kafka import KafkaSettings
from deploy.embedded.broker import USER, Broker

_ITERATIONS = 4096
"""What the clients of Kafka use themselves; the password is random and long, so more would only cost time."""


class FirstUser:
    """The user of one broker, for a start in which it must be made.

    Args:
        broker: prepared and not started.
        kafka: how clients sign in at it afterwards.
    """

    def __init__(self, broker: Broker, kafka: KafkaSettings) -> None:
        self._kafka = kafka
        self._admitted = secrets.token_urlsafe(24)
        broker.admit(self._admitted)

    def make(self, *, timeout_s: float) -> None:
        """Give the user the password of the settings; the broker runs.

        Raises:
            WatchfloorError: the broker does not accept it.
        """
        kafka = self._kafka
        assert kafka.sasl_password is not None  # noqa: S101 - the launcher sets it
        password = kafka.sasl_password.get_secret_value().encode()
        admin = AdminClient(librdkafka_config(kafka, sasl_mechanism="PLAIN", sasl_password=self._admitted))
        user = UserScramCredentialUpsertion(
            USER, ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, _ITERATIONS), password
        )
        try:
            admin.alter_user_scram_credentials([user], request_timeout=timeout_s)[USER].result()
        except KafkaException as error:
            raise WatchfloorError(
                f"Kafka's user cannot be made ({error.args[0].str()})", "read Kafka's log in the state directory"
            ) from error
