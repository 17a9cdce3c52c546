"""`watchfloor gateway`: one gateway process, for production and for the embedded stack."""

from typing import Annotated, Any

import typer

from watchfloor.cli.app import app


@app.command()
def gateway(
    context: typer.Context,
    host: Annotated[str | None, typer.Option(help="Address to listen on; default gateway.host.")] = None,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="Port; default gateway.port.")] = None,
    reuse_port: Annotated[
        bool | None, typer.Option("--reuse-port", help="Share the port with other gateways of this machine.")
    ] = None,
    admin_port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Serve health and metrics on a separate port of this process.")
    ] = None,
) -> None:
    """Serve the live feed to browsers and programs, until Ctrl-C or SIGTERM.

    Reads the feed from Kafka and stores nothing, so any number of gateways can run.

    [bold]Examples[/bold]

        watchfloor gateway

        watchfloor --config /etc/watchfloor.toml gateway --port 8443

        watchfloor gateway --reuse-port --admin-port 9201

        WATCHFLOOR_AUTH__HS256_SECRET="$(openssl rand -hex 32)" watchfloor gateway
    """
    from common.logs import configure_logs
    from gateway.server import run_gateway

    settings = context.obj.settings()
    asked: dict[str, Any] = {"host": host, "port": port, "reuse_port": reuse_port}
    if admin_port is not None:
        asked["admin"] = settings.gateway.admin.model_copy(update={"port": admin_port})
    given = {name: value for name, value in asked.items() if value is not None}
    if given:
        settings = settings.model_copy(update={"gateway": settings.gateway.model_copy(update=given)})
    configure_logs(settings.log.level, process="gateway")
    run_gateway(settings)
