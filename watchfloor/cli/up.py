"""`watchfloor up`: the whole chain on this machine."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from common.paths import CONFIG_FILE, default_cache_dir, default_state_dir
from common.settings.load import Settings
from watchfloor.cli.app import CacheDir, GatewayPort, StateDir, app

if TYPE_CHECKING:
    from deploy.embedded.stack import Stack

_EXAMPLES = """
Starts PostgreSQL, Kafka, Kafka Connect with Debezium, a worker and the gateway, and stops them on Ctrl-C.

The first start downloads 63 MB; later ones need no network. Everything listens on 127.0.0.1 only.

Examples:

  watchfloor up

  watchfloor up --state-dir ./state --gateway-port 8080

  watchfloor up --postgres postgresql://owner@db.example.com/facility

Put the password for --postgres into ~/.pgpass. Or leave the option out and put the whole URL into the setting
source.admin_dsn: the variable WATCHFLOOR_SOURCE__ADMIN_DSN, or the file of --config.
"""


@app.command(help=_EXAMPLES)
def up(
    context: typer.Context,
    state_dir: StateDir = None,
    cache_dir: CacheDir = None,
    postgres: Annotated[
        str | None,
        typer.Option(
            help="Watch this database (postgresql://…, without a password) instead of starting one.", metavar="URL"
        ),
    ] = None,
    kafka: Annotated[str | None, typer.Option(help="Use this Kafka cluster.", metavar="HOST:PORT")] = None,
    connect: Annotated[str | None, typer.Option(help="Use this Kafka Connect.", metavar="URL")] = None,
    gateway_port: GatewayPort = None,
    postgres_port: Annotated[int | None, typer.Option(min=1, max=65535)] = None,
    kafka_port: Annotated[int | None, typer.Option(min=1, max=65535)] = None,
    connect_port: Annotated[int | None, typer.Option(min=1, max=65535)] = None,
    metrics_port: Annotated[int | None, typer.Option(min=1, max=65535, help="Port of the first worker.")] = None,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Number of workers that share the partitions.")] = 1,
    start_timeout: Annotated[float, typer.Option(min=1, help="Seconds that a component may take to start.")] = 60.0,
    free_disk_mib: Annotated[int, typer.Option(min=0, help="Free disk space that a start needs.")] = 1024,
) -> None:
    """Start the chain and keep it running until Ctrl-C or SIGTERM."""
    from deploy.embedded.options import StackOptions
    from deploy.embedded.own_servers import refuse_password
    from deploy.embedded.stack import Stack

    given = postgres is not None
    if postgres is not None:
        refuse_password(postgres)
    settings = context.obj.settings()
    state_dir = state_dir or default_state_dir()
    options = StackOptions(
        state_dir=state_dir,
        cache_dir=cache_dir or default_cache_dir(),
        postgres_url=postgres if given else database_of_settings(settings, context.obj.config, state_dir),
        postgres_named_by="--postgres" if given else "source.admin_dsn",
        kafka=kafka,
        connect_url=connect,
        gateway_port=gateway_port,
        postgres_port=postgres_port,
        kafka_port=kafka_port,
        connect_port=connect_port,
        metrics_port=metrics_port,
        workers=workers,
        start_timeout_s=start_timeout,
        free_disk_mib_min=free_disk_mib,
    )
    Stack(options, settings).run_until_signal(_say_ready)


def database_of_settings(settings: Settings, config: Path | None, state_dir: Path) -> str | None:
    """The URL of the user's own database in the settings; None if they name none.

    The file that an earlier start wrote into this state directory names the embedded database, which does not count.
    """
    if config is not None and config.resolve() == (state_dir / CONFIG_FILE).resolve():
        return None
    admin = settings.source.admin_dsn
    return admin.get_secret_value() if admin else None


def _say_ready(stack: "Stack") -> None:
    typer.echo(f"ready: {stack.endpoints['gateway']}/")
