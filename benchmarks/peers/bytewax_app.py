"""The work on Bytewax: two keyed stateful steps with a recovery store (SQLite, a snapshot per epoch)."""

import sys
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

from bytewax import operators as op  # type: ignore[import-not-found]
from bytewax.connectors.kafka import KafkaSink, KafkaSinkMessage, KafkaSource  # type: ignore[import-not-found]
from bytewax.dataflow import Dataflow  # type: ignore[import-not-found]
from bytewax.recovery import RecoveryConfig, init_db_dir  # type: ignore[import-not-found]
from bytewax.testing import cluster_main  # type: ignore[import-not-found]
from meter import Meter, Run, settings_from_argv
from work import Envelope, PersonTrack, TenantCount, admit, decode, finding, track
from world import key

EPOCH_S = 10
"""Bytewax's default; a crash repeats the events of this interval."""
BATCH_EVENTS_MAX = 1_000


class Event(NamedTuple):
    """A decoded envelope and its time."""

    envelope: Envelope
    at_s: float


def dataflow(run: Run, meter: Meter) -> Any:
    """The topology."""

    def parse(message: Any) -> tuple[str, Event]:
        meter.start()
        event = decode(message.value)
        return str(event.after.tenant_id), Event(event, event.after.ts.timestamp())

    def limit(count: TenantCount | None, event: Event) -> tuple[TenantCount, tuple[Event, ...]]:
        count, scored = admit(count, event.at_s)
        if scored:
            return count, (event,)
        meter.dropped += 1
        meter.add(1)
        return count, ()

    def score(last: PersonTrack | None, event: Event) -> tuple[PersonTrack, tuple[Any, ...]]:
        row = event.envelope.after
        moved, verdict = track(last, row.lat, row.lon, event.at_s)
        found: tuple[Any, ...] = ()
        if verdict is not None:
            meter.findings += 1
            found = (KafkaSinkMessage(key(row.tenant_id), finding(row, verdict, event.envelope.ts_us)),)
        meter.add(1)
        return moved, found

    flow = Dataflow("work")
    source = KafkaSource([run.broker], [run.source], tail=True, batch_size=BATCH_EVENTS_MAX)
    stream = op.map("parse", op.input("source", flow, source), parse)
    stream = op.stateful_flat_map("limit", stream, limit)
    stream = op.map("by-person", stream, lambda item: (str(item[1].envelope.after.person_id), item[1]))
    stream = op.stateful_flat_map("score", stream, score)
    stream = op.map("findings", stream, lambda item: item[1])
    sink = KafkaSink([run.broker], run.output, add_config={"linger.ms": "5", "partitioner": "murmur2_random"})
    op.output("sink", stream, sink)
    return flow


def main() -> None:
    """Run until SIGTERM."""
    run = settings_from_argv(sys.argv)
    store = Path(run.directory) / "recovery"
    store.mkdir()
    init_db_dir(store, 1)
    recovery = RecoveryConfig(str(store), timedelta(0))
    # The same entry as `python -m bytewax.run` with one worker.
    cluster_main(dataflow(run, Meter(run)), [], 0, epoch_interval=timedelta(seconds=EPOCH_S), recovery_config=recovery)


if __name__ == "__main__":
    main()
