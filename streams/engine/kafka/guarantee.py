"""Which appender provides which guarantee."""

from collections.abc import Mapping
from typing import Any

from common.settings.engine import EngineSettings
from streams.engine.kafka.appender import Appender, PlainAppender
from streams.engine.kafka.transactions import TransactionalAppender


def appender_for(settings: EngineSettings, client_config: Mapping[str, Any], application: str) -> Appender:
    """The appender of `worker.guarantee`, not connected; the name is shared by all workers of one application only."""
    if settings.guarantee == "transactions":
        return TransactionalAppender(
            client_config,
            transactional_id_prefix=application,
            transaction_timeout_ms=settings.transactions.timeout_ms,
            batch_bytes_max=settings.output.batch_bytes_max,
            state_batch_bytes_max=settings.changelog.batch_bytes_max,
        )
    return PlainAppender(
        client_config,
        batch_bytes_max=settings.output.batch_bytes_max,
        state_batch_bytes_max=settings.changelog.batch_bytes_max,
    )
