"""The work on Quix Streams: a stateful step per message key (the tenant), RocksDB with a changelog topic."""

import sys
from typing import Any

from meter import Meter, settings_from_argv
from quixstreams import Application  # type: ignore[import-not-found]
from work import PersonTrack, TenantCount, admit, decode, finding, track


def main() -> None:
    """Run until SIGTERM, which Quix Streams handles."""
    run = settings_from_argv(sys.argv)
    meter = Meter(run)
    app = Application(
        broker_address=run.broker,
        consumer_group=run.group,
        auto_offset_reset="earliest",
        state_dir=f"{run.directory}/state",
        loglevel="WARNING",
        # A finding is sent within 5 ms; the partitioner keeps a tenant in its partition, as Debezium's does.
        producer_extra_config={"linger.ms": 5, "partitioner": "murmur2_random"},
    )
    source = app.topic(run.source, value_deserializer="bytes", key_deserializer="bytes")
    output = app.topic(run.output, value_serializer="bytes", key_serializer="bytes")

    def score(value: bytes, state: Any) -> tuple[bytes, ...]:
        meter.start()
        event = decode(value)
        row = event.after
        at_s = row.ts.timestamp()
        found: tuple[bytes, ...] = ()
        counted = state.get("tenant")
        count, scored = admit(counted and TenantCount(*counted), at_s)
        state.set("tenant", tuple(count))  # the JSON encoder of Quix Streams does not support named tuples
        if scored:
            name = f"person-{row.person_id}"
            tracked = state.get(name)
            moved, verdict = track(tracked and PersonTrack(*tracked), row.lat, row.lon, at_s)
            state.set(name, tuple(moved))
            if verdict is not None:
                meter.findings += 1
                found = (finding(row, verdict, event.ts_us),)
        else:
            meter.dropped += 1
        meter.add(1)
        return found

    app.dataframe(source).apply(score, stateful=True, expand=True).to_topic(output)
    app.run()


if __name__ == "__main__":
    main()
