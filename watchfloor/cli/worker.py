"""`watchfloor worker`: one stream-processing process of the chain."""

import typer

from watchfloor.cli.app import app


@app.command()
def worker(context: typer.Context) -> None:
    """Score row changes and write the anomalies feed, until SIGTERM.

    Run one for each core; they share the partitions. Give each its own
    `worker.group.instance_id` and `worker.metrics.port`.

    [dim]watchfloor --config watchfloor.toml worker[/dim]

    [dim]WATCHFLOOR_WORKER__METRICS__PORT=9102 watchfloor --config watchfloor.toml worker[/dim]
    """
    from streams.worker import run_worker

    run_worker(context.obj.settings())
