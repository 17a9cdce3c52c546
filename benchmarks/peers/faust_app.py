"""The work on Faust as its documentation shows it: JSON values, two tables, one event at a time."""

import asyncio
import logging
import sys
from collections.abc import AsyncIterable
from datetime import datetime
from typing import Any

import faust
from meter import Meter, settings_from_argv
from work import PersonTrack, TenantCount, admit, track

PARTITIONS = 4


async def main() -> None:
    """Run until SIGTERM."""
    run = settings_from_argv(sys.argv)
    meter = Meter(run)
    # Faust's console worker logs at DEBUG while its spinner is on; this program does not use that worker.
    logging.getLogger().setLevel(logging.WARNING)
    app = faust.App(
        run.group,
        broker=f"kafka://{run.broker}",
        topic_partitions=PARTITIONS,
        consumer_auto_offset_reset="earliest",
        web_enabled=False,
        datadir=run.directory,
    )
    source = app.topic(run.source)
    output = app.topic(run.output, key_serializer="json")
    tenants = app.Table("tenants", partitions=PARTITIONS)
    persons = app.Table("persons", partitions=PARTITIONS)

    @app.agent(source)  # type: ignore[untyped-decorator]
    async def score(events: AsyncIterable[dict[str, Any]]) -> None:
        async for event in events:
            meter.start()
            row = event["after"]
            tenant, person = row["tenant_id"], row["person_id"]
            at_s = datetime.fromisoformat(row["ts"]).timestamp()
            counted = tenants.get(tenant)
            count, scored = admit(counted and TenantCount(*counted), at_s)
            tenants[tenant] = count
            if scored:
                tracked = persons.get(person)
                moved, verdict = track(tracked and PersonTrack(*tracked), row["lat"], row["lon"], at_s)
                persons[person] = moved
                if verdict is not None:
                    meter.findings += 1
                    value = {
                        "id": row["id"],
                        "tenant_id": tenant,
                        "person_id": person,
                        "kind": verdict.kind,
                        "score": verdict.score,
                        "sent_us": event["ts_us"],
                    }
                    await output.send(key={"tenant_id": tenant}, value=value)
            else:
                meter.dropped += 1
            meter.add(1)

    await app.start()
    await meter.stopped()
    await app.stop()


if __name__ == "__main__":
    asyncio.run(main())
