"""The Faust application that holds the partitions, configured for an engine that does its own reading."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import faust
from faust.auth import Credentials
from faust.tables import TableManager

from common.settings.engine import GroupSettings

_NEVER_S = 1e9


class NoTables(TableManager):
    """Faust's table manager without its start-up pause of a second, in which it waits for tables; there are none."""

    async def on_start(self) -> None:
        """Start what the rest of Faust expects to be started; called by mode."""
        await self._update_channels()
        await self.recovery.start()


def faust_app(
    group: str, client_config: Mapping[str, Any], partitions: int, membership: GroupSettings, datadir: Path
) -> faust.App:
    """An application that joins a consumer group, without topics, tables or a web server of its own.

    Args:
        group: name of the application and of its consumer group.
        client_config: of an aiokafka client, as `common.kafka.aiokafka_config` returns it.
        partitions: of every topic.
        membership: of that group.
        datadir: for Faust's small files; they need not survive a restart.
    """
    return faust.App(
        group,
        broker=f"watchfloor://{client_config['bootstrap_servers'].replace(',', ';')}",
        broker_credentials=_credentials(client_config),
        web_enabled=False,
        topic_allow_declare=False,
        topic_disable_leader=True,
        topic_partitions=partitions,
        consumer_group_instance_id=membership.instance_id,
        broker_session_timeout=membership.session_timeout_ms / 1e3,
        broker_heartbeat_interval=membership.heartbeat_interval_ms / 1e3,
        # The consumer never polls, so aiokafka would assume that it hangs and leave the group.
        broker_max_poll_interval=_NEVER_S,
        TableManager=NoTables,
        datadir=datadir,
    )


def _credentials(client_config: Mapping[str, Any]) -> Credentials | None:
    """How Faust says what an aiokafka client is given."""
    protocol, context = client_config["security_protocol"], client_config.get("ssl_context")
    if protocol.startswith("SASL"):
        return faust.SASLCredentials(
            username=client_config["sasl_plain_username"],
            password=client_config["sasl_plain_password"],
            mechanism=client_config["sasl_mechanism"],
            ssl_context=context,
        )
    return None if context is None else faust.SSLCredentials(context)
