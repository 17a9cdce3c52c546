"""Which appender provides which guarantee."""

from collections.abc import Mapping
from typing import Any

from common.settings import WorkerSettings
from streams.engine.kafka.appender import Appender, PlainAppender
from streams.engine.kafka.transactions import TransactionalAppender


def appender_for(worker: WorkerSettings, client_config: Mapping[str, Any], application: str) -> Appender:
    """The appender of `worker.guarantee`, not connected.

    Args:
        worker: limits and the guarantee.
        client_config: of an aiokafka client.
        application: a name that all workers of one application share, and no other application.
    """
    if worker.guarantee == "transactions":
        return TransactionalAppender(
            client_config,
            transactional_id_prefix=application,
            transaction_timeout_ms=worker.transaction_timeout_ms,
            batch_bytes_max=worker.output_batch_bytes_max,
            state_batch_bytes_max=worker.state_batch_bytes_max,
        )
    return PlainAppender(
        client_config,
        batch_bytes_max=worker.output_batch_bytes_max,
        state_batch_bytes_max=worker.state_batch_bytes_max,
    )
