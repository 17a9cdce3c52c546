"""`watchfloor doctor`: checks every component and says what to do."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from common.errors import SettingsError
from watchfloor.cli.app import app

if TYPE_CHECKING:
    from watchfloor.doctor.checks import Probe, Result, Target

_EPILOG = """
[bold]Examples[/]

  watchfloor doctor

  watchfloor doctor --state-dir /srv/watchfloor

  watchfloor --config production.toml doctor --json

Exits with 1 if something is wrong.
"""


@app.command(epilog=_EPILOG)
def doctor(
    context: typer.Context,
    state_dir: Annotated[Path | None, typer.Option(help="State directory of the stack to examine.")] = None,
    timeout_s: Annotated[
        float, typer.Option(help="Seconds in which each component must answer.", min=0.5, max=120)
    ] = 8.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the results as JSON.")] = False,
) -> None:
    """Check PostgreSQL, Kafka, Connect, worker, gateway and this machine, and say what to do."""
    import msgspec

    from watchfloor.doctor.checks import State, examine

    target = _target(context.obj.config, state_dir, timeout_s)
    results = asyncio.run(examine(target, _probes()))
    if as_json:
        typer.echo(msgspec.json.encode(results))
    else:
        _show(results)
    if any(result.state is State.PROBLEM for result in results):
        raise typer.Exit(1)


def _target(config: Path | None, state_dir: Path | None, timeout_s: float) -> "Target":
    from common.paths import default_state_dir
    from watchfloor.doctor.checks import Target
    from watchfloor.local_stack import find_settings, read_endpoints

    try:
        settings = find_settings(config, state_dir)
    except SettingsError as error:
        raise SettingsError(f"settings: {error.problem}", error.advice) from error
    where = state_dir or (None if config is not None else default_state_dir())
    return Target(settings, where, read_endpoints(where) if where else None, timeout_s)


def _probes() -> "list[Probe]":
    from watchfloor.doctor import kafka_checks as broker
    from watchfloor.doctor import process_checks as processes
    from watchfloor.doctor import source_checks as source
    from watchfloor.doctor.checks import Probe

    return [
        Probe("machine", processes.probe_machine, "check whether the disk responds"),
        Probe("postgres", source.probe_source, "check whether PostgreSQL is overloaded or unreachable"),
        Probe("kafka", broker.probe_kafka, "check whether the broker is overloaded or unreachable"),
        Probe("connect", broker.probe_connect, "read Connect's log: it does not answer while it rebalances"),
        Probe("worker", processes.probe_worker, "read the worker's log"),
        Probe("gateway", processes.probe_gateway, "read the gateway's log"),
    ]


def _show(results: "list[Result]") -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from watchfloor.doctor.checks import State

    console = Console()
    if not console.is_terminal:
        # In a pipe lines are not wrapped, so that they can be searched.
        console.width = 400
    styles = {State.OK: "green", State.PROBLEM: "bold red", State.UNKNOWN: "yellow"}
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("component", "check", "state"):
        table.add_column(heading, no_wrap=True)
    table.add_column("what", overflow="fold")
    for result in results:
        what = Text(result.detail)
        if result.advice:
            what.append(f"\n→ {result.advice}", style="bold")
        table.add_row(result.component, result.check, Text(str(result.state), style=styles[result.state]), what)
    console.print(table)
    problems = sum(result.state is State.PROBLEM for result in results)
    ending = f"[green]all {len(results)} checks ok[/]" if not problems else f"[red]{problems} to fix[/]"
    console.print(ending, highlight=False)
