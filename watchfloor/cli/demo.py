"""`watchfloor demo`: the whole chain with a simulated company, and the address of the live page with a token."""

from typing import TYPE_CHECKING, Annotated

import typer

from common.paths import default_cache_dir, default_state_dir
from watchfloor.cli.app import CacheDir, GatewayPort, StateDir, app

if TYPE_CHECKING:
    from deploy.embedded.stack import Stack
    from simulation.live.simulation import Plan

_EPILOG = """
[bold]Examples[/]

  watchfloor demo

  watchfloor demo --rate 200 --tenants 8

  watchfloor demo --anomaly-rate 0.1 --burst-every 20

  watchfloor demo --seconds 60 --seed 7

The tenants of the company are 1, 5, 9, 6, 2, 10, 12 and 20; their rows in the state directory's database belong to the demo.
"""
_TOKEN_LIFETIME_S = 12 * 3600
_LAST_MESSAGES_S = 10.0
_LIMIT_SHARE_MAX = 0.8


@app.command(epilog=_EPILOG)
def demo(
    context: typer.Context,
    state_dir: StateDir = None,
    cache_dir: CacheDir = None,
    gateway_port: GatewayPort = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same company and the same day.")] = 1,
    rate: Annotated[float, typer.Option(help="Rows per second over all tenants.", min=1, max=2000)] = 20.0,
    anomaly_rate: Annotated[float, typer.Option(help="Planted anomalies per row written.", min=0, max=0.5)] = 0.01,
    tenants: Annotated[int, typer.Option(help="Number of tenants.", min=1, max=8)] = 3,
    burst_every: Annotated[
        float, typer.Option(help="Seconds between bursts over the rate limit, on average; 0 for none.", min=0)
    ] = 60.0,
    seconds: Annotated[float | None, typer.Option(help="Stop after this many seconds. [default: never]", min=1)] = None,
) -> None:
    """Start the chain, let a simulated company write rows, and print where to watch.

    It prints what it planted, so that you can compare it with what the feed shows. Ctrl-C stops everything.
    """
    from deploy.embedded.options import StackOptions
    from deploy.embedded.stack import Stack
    from simulation.live.simulation import Plan

    settings = context.obj.settings()
    limit = settings.worker.rate_limit.max_events_per_second
    burst_rows = limit + max(limit // 2, 1)
    plan = Plan(seed, tenants, anomaly_rate, burst_interval_s=burst_every, burst_rows=burst_rows, rows_per_s=rate)
    if rate > _LIMIT_SHARE_MAX * limit * tenants:
        _note(
            f"at this rate the limit of {limit} events/s for each tenant also drops ordinary rows: not everything planted is seen"
        )
    options = StackOptions(
        state_dir=state_dir or default_state_dir(),
        cache_dir=cache_dir or default_cache_dir(),
        gateway_port=gateway_port,
    )
    Stack(options, settings).run_until_signal(lambda stack: _run_company(stack, plan, seconds))


def _run_company(stack: "Stack", plan: "Plan", seconds: float | None) -> None:
    """Write rows and show the counts until the stack is asked to stop; it still runs when this returns."""
    from simulation.live.company import TENANT_IDS
    from simulation.live.writer import CompanyWriter
    from watchfloor.cli.company import FeedWatch, StatusLine, summary, wait_until_seen

    endpoints, auth = stack.endpoints, stack.settings.auth
    watch = FeedWatch(endpoints["websocket"], auth, TENANT_IDS[: plan.tenants])
    # The watch connects first, so that it sees everything from the first row on.
    watch.start()
    watch.wait_connected(_LAST_MESSAGES_S)
    writer = CompanyWriter(endpoints["postgres"], plan, seconds=seconds, on_end=stack.request_stop)
    writer.start()
    status = StatusLine(writer, watch)
    _say_where(stack, plan)
    status.start()
    try:
        stack.wait()
        writer.stop()
        wait_until_seen(writer, watch, _LAST_MESSAGES_S)
    finally:
        status.stop()
        writer.stop()
        watch.stop()
        for line in summary(writer, watch):
            _note(line)
    if writer.failure is not None:
        raise writer.failure


def _say_where(stack: "Stack", plan: "Plan") -> None:
    from gateway.access.bearer import Capability
    from gateway.access.tokens import mint_token
    from simulation.live.company import TENANT_IDS
    from watchfloor.cli.links import sign_in_link

    token = mint_token(
        stack.settings.auth,
        tenant_id=TENANT_IDS[0],
        user="operator",
        capabilities=[str(capability) for capability in Capability],
        lifetime_s=_TOKEN_LIFETIME_S,
    )
    typer.echo(f"ready: {sign_in_link(stack.endpoints['gateway'], token)}")
    where = stack.options.state_dir
    _note(f"open it to watch tenant {TENANT_IDS[0]}, one of {plan.tenants}; Ctrl-C stops everything")
    _note(
        f"the link works once and within minutes; another: watchfloor token --link --tenant {TENANT_IDS[0]} "
        f"--user operator --state-dir {where}"
    )
    if plan.tenants > 1:
        _note(
            f"another tenant: watchfloor token --tenant {TENANT_IDS[1]} --user you "
            f"--capability noc:view --capability noc:view_all_clients --state-dir {where}"
        )
    _note(f"in a terminal:  watchfloor tail --tenant {TENANT_IDS[0]} --state-dir {where}")


def _note(line: str) -> None:
    typer.echo(f"watchfloor: {line}", err=True)
