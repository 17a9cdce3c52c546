"""`watchfloor revoke`: revokes tokens, or lifts a revocation, by writing a record to `noc.revocations`."""

import getpass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from common.errors import WatchfloorError
from watchfloor.cli.app import app

if TYPE_CHECKING:
    from msgspec import UnsetType

    from common.settings.kafka import KafkaSettings
    from contracts.revocations import RevocationKey

_WAIT_S = 15.0
_EPILOG = """
[bold]Examples[/]

  watchfloor revoke --tenant 1 --user ops --reason "left the company"

  watchfloor revoke --jti 6f1d2c0a

  watchfloor revoke --tenant 1 --user ops --lift
"""


@app.command(epilog=_EPILOG)
def revoke(
    context: typer.Context,
    tenant: Annotated[int | None, typer.Option(help="Tenant of the user.", min=0)] = None,
    user: Annotated[str | None, typer.Option(help="User whose tokens to revoke: the subject of the tokens.")] = None,
    jti: Annotated[str | None, typer.Option(help="Revoke only the token with this id.")] = None,
    reason: Annotated[str | None, typer.Option(help="Stored in the record, not shown to users.")] = None,
    lift: Annotated[bool, typer.Option("--lift", help="Lift the revocation.")] = False,
    state_dir: Annotated[Path | None, typer.Option(help="State directory of the stack.")] = None,
) -> None:
    """Make every gateway refuse the tokens that a user was issued until now, or one token.

    Connections that were opened with them are closed at once. Tokens that are issued later are accepted, so first
    stop your identity provider from issuing them.
    """
    from msgspec import UNSET

    from contracts.revocations import REASON_CHARACTERS_MAX, Revocation, encode_revocation
    from watchfloor.local_stack import find_settings

    key, whose = _key(tenant, user, jti)
    kafka = find_settings(context.obj.config, state_dir).kafka
    now = datetime.now(UTC)
    short = UNSET if reason is None else reason[:REASON_CHARACTERS_MAX]
    value = None if lift else encode_revocation(Revocation(now, short, _by()))
    _write(kafka, key, value)
    if lift:
        typer.echo(f"the revocation of {whose} is lifted")
    else:
        typer.echo(f"revoked: {whose}" + ("" if jti else f" issued before {now:%Y-%m-%dT%H:%M:%S.%f}Z"))


def _key(tenant: int | None, user: str | None, jti: str | None) -> "tuple[RevocationKey, str]":
    from contracts.revocations import SUBJECT_CHARACTERS_MAX, RevokedSubject, RevokedToken

    for name, text in (("--user", user), ("--jti", jti)):
        if text is not None and not 0 < len(text.strip()) <= SUBJECT_CHARACTERS_MAX:
            raise WatchfloorError(
                f"{name} is empty or longer than {SUBJECT_CHARACTERS_MAX} characters", "write it as it is in the token"
            )
    if jti is not None:
        return RevokedToken(jti), f"the token {jti}"
    if tenant is None or user is None:
        raise WatchfloorError("no user and no token is given", "give --tenant and --user, or one token with --jti")
    return RevokedSubject(tenant, user), f"the tokens of {user} of tenant {tenant}"


def _by() -> "str | UnsetType":
    from msgspec import UNSET

    try:
        return getpass.getuser()
    except (KeyError, OSError):  # the user of a container may have no name
        return UNSET


def _write(kafka: "KafkaSettings", key: "RevocationKey", value: bytes | None) -> None:
    """Write the record and wait until the cluster has acknowledged it.

    Raises:
        WatchfloorError: no broker answers, the topic is missing, or this user may not write to it.
    """
    from confluent_kafka import KafkaException, Producer

    from common.kafka import librdkafka_config, unreachable
    from contracts.revocations import key_bytes
    from contracts.topics import TopicNames
    from gateway.kafka.kafka_clients import KafkaClients

    topic = TopicNames(kafka.topic_prefix).revocations
    if topic not in KafkaClients(kafka).describe([topic]):  # or the broker might create it
        raise WatchfloorError(f"topic {topic} is missing", "start a worker once, which creates the topics")
    failures: list[str] = []
    config = librdkafka_config(
        kafka, acks="all", partitioner="murmur2", message_timeout_ms=round(_WAIT_S * 1000), linger_ms=0
    )
    try:
        producer = Producer(config)
        producer.produce(
            topic, value, key_bytes(key), on_delivery=lambda error, _: failures.append(error.str()) if error else None
        )
        left = producer.flush(_WAIT_S)
    except KafkaException as error:
        raise unreachable(kafka) from error
    if left:
        raise unreachable(kafka)
    if failures:
        raise WatchfloorError(
            f"the revocation could not be written ({failures[0]})", f"check that this user may write to {topic}"
        )
