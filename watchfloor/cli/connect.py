"""`watchfloor connect`: prepare the watched database, register the connector, show its tasks."""

from pathlib import Path
from typing import Annotated

import typer

from common.settings.load import Settings
from watchfloor.cli.app import app

_EPILOG = "Connect's address and the database are settings: connect.url and the source section."
_StateDir = Annotated[Path | None, typer.Option("--state-dir", help="State directory of the stack on this machine.")]


group = typer.Typer(
    no_args_is_help=True, rich_markup_mode="rich", help="Change capture: register the connector, show its tasks."
)
app.add_typer(group, name="connect")


@group.command("apply", epilog=_EPILOG)
def _apply(
    context: typer.Context,
    skip_schema: Annotated[
        bool, typer.Option("--skip-schema", help="The database was prepared by hand (see watchfloor connect sql).")
    ] = False,
    new_snapshot: Annotated[
        bool, typer.Option("--new-snapshot", help="Discard the position in PostgreSQL's log and read all rows again.")
    ] = False,
    state_dir: _StateDir = None,
) -> None:
    """Prepare the watched database and register the connector on any Kafka Connect cluster.

    Changes nothing that is already in place. Example: [bold]watchfloor --config watchfloor.toml connect apply[/bold]
    """
    from rich.console import Console

    from connect.apply import apply_connector
    from connect.schema import apply_schema, check_source
    from streams.topics import ensure_topics

    settings = _settings(context, state_dir)
    console = Console(stderr=True)
    with console.status("checking the watched database") as status:
        if not skip_schema and settings.source.admin_dsn is not None:
            apply_schema(settings.source)
        lacking = check_source(settings.source)
        status.update("creating topics")
        ensure_topics(settings.kafka)
        state = apply_connector(settings, new_snapshot=new_snapshot, on_wait=status.update)
    for problem in lacking:
        console.print(f"[yellow]{problem.text}[/yellow]\n→ {problem.advice}", soft_wrap=True)
    console.print(f"[green]running[/green]: connector {state.name}, {len(state.tasks)} task")


@group.command("status", epilog=_EPILOG)
def _status(context: typer.Context, state_dir: _StateDir = None) -> None:
    """Show the connector and its tasks; exit with 1 if one does not run.

    Example: [bold]watchfloor connect status && echo capturing[/bold]
    """
    from rich.console import Console
    from rich.table import Table

    from common.errors import WatchfloorError
    from connect.apply import connector_state

    settings = _settings(context, state_dir)
    state = connector_state(settings)
    if state is None:
        raise WatchfloorError(
            f"connector {settings.connect.connector} is not registered at {settings.connect.url}",
            "run watchfloor connect apply",
        )
    table = Table("part", "state", "worker", "reason")
    table.add_row(f"connector {state.name}", _coloured(state.connector.state), state.connector.worker_id, "")
    for task in state.tasks:
        table.add_row(f"task {task.id}", _coloured(task.state), task.worker_id, task.reason or "")
    Console().print(table)
    if not state.running:
        raise typer.Exit(1)


@group.command("sql", epilog=_EPILOG)
def _sql(context: typer.Context) -> None:
    """Print the SQL that prepares the watched database, for its administrator to read and run.

    Example: [bold]watchfloor connect sql | psql -d facility[/bold]
    """
    from connect.schema import schema_sql

    typer.echo(schema_sql(context.obj.settings().source), nl=False)


def _settings(context: typer.Context, state_dir: Path | None) -> Settings:
    """The settings of the given state directory or file, or of the stack on this machine, or of the environment."""
    from common.paths import CONFIG_FILE, default_state_dir
    from watchfloor.local_stack import find_settings

    config: Path | None = context.obj.config
    if state_dir is None and config is None and not (default_state_dir() / CONFIG_FILE).is_file():
        settings: Settings = context.obj.settings()
        return settings
    return find_settings(config, state_dir)


def _coloured(state: str) -> str:
    colour = {"RUNNING": "green", "FAILED": "red"}.get(state, "yellow")
    return f"[{colour}]{state}[/{colour}]"
