"""`watchfloor tail`: the live feed in a terminal. Messages go to standard output, notices to standard error."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from common.errors import WatchfloorError
from watchfloor.cli.app import app

_EPILOG = """
[bold]Examples[/]

  watchfloor tail --tenant 2

  watchfloor tail --stream anomaly --names

  watchfloor tail --site 12 --site 15

  watchfloor tail --json | jq .anomaly_type

  watchfloor tail --url wss://noc.example.com --token-file token.txt
"""
_TOKEN_LIFETIME_S = 3600


@app.command(epilog=_EPILOG)
def tail(
    context: typer.Context,
    state_dir: Annotated[Path | None, typer.Option(help="State directory of the stack to watch.")] = None,
    url: Annotated[
        str | None, typer.Option(help="Address of another gateway, ws:// or wss://; needs --token-file.")
    ] = None,
    token_file: Annotated[Path | None, typer.Option(help="File with a token; read again for each connection.")] = None,
    tenant: Annotated[
        int | None, typer.Option(help="Tenant id; not with a token file, which names the tenant. [default: 1]", min=1)
    ] = None,
    stream: Annotated[
        str, typer.Option(help="dashboard (one message for each finding) or anomaly (one for each event).")
    ] = "dashboard",
    client: Annotated[
        list[int] | None, typer.Option(help="Show only this client; repeatable. Sites narrow it further.", min=1)
    ] = None,
    site: Annotated[list[int] | None, typer.Option(help="Show only this site; repeatable.", min=1)] = None,
    names: Annotated[bool, typer.Option("--names", help="Show personal data: adds noc:view_pii to the token.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the messages as JSON, one on each line.")] = False,
    count: Annotated[int | None, typer.Option(help="Stop after this many messages.", min=1)] = None,
    allow_plaintext: Annotated[bool, typer.Option(help="Allow ws:// to another machine.")] = False,
) -> None:
    """Show the live feed until Ctrl-C; reconnect when the connection is lost.

    Every message is shown once. Messages from an interruption are shown after it; if some are no longer available,
    a notice says which.
    """
    from watchfloor.cli.terminal import run_until_stopped, show
    from watchfloor_client import Feed, FeedError, FeedOptions, Stream

    if stream not in {str(each) for each in Stream}:
        raise WatchfloorError(f"there is no stream {stream}", "use dashboard or anomaly")
    if url is not None:
        address, token = url, _token_of_file(token_file, url, tenant, names=names)
    elif token_file is not None:
        raise WatchfloorError("--token-file needs the address of a gateway", "add --url")
    else:
        address, token = _of_this_machine(context.obj.config, state_dir, tenant or 1, names=names)
    options = FeedOptions(
        address,
        token,
        Stream(stream),
        allow_plaintext=allow_plaintext,
        client_ids=tuple(client or ()),
        site_ids=tuple(site or ()),
    )
    try:
        _ = options.address  # raises for a wrong address before anything is shown
        run_until_stopped(lambda: show(Feed(options), as_json=as_json, count=count))
    except FeedError as error:
        raise WatchfloorError(error.problem, error.advice) from error


def _token_of_file(file: Path | None, url: str, tenant: int | None, *, names: bool) -> Callable[[], str]:
    if file is None:
        raise WatchfloorError(f"there is no token for {url}", "give a file with a token with --token-file")
    if tenant is not None or names:
        raise WatchfloorError(
            "--tenant and --names cannot be combined with --token-file", "leave them out: the token determines both"
        )
    kept: list[str] = []

    def read() -> str:
        try:
            token = file.read_text().strip()
        except OSError as error:
            raise WatchfloorError(
                f"the token file {file} cannot be read ({error.strerror})", "correct --token-file"
            ) from error
        # A pipe, such as <(watchfloor token …), can be read only once.
        kept[:] = [token] if token else kept
        if not kept:
            raise WatchfloorError(f"the token file {file} is empty", "write a token into it")
        return kept[0]

    return read


def _of_this_machine(
    config: Path | None, state_dir: Path | None, tenant: int, *, names: bool
) -> tuple[str, Callable[[], str]]:
    from common.paths import default_state_dir
    from gateway.access.bearer import Capability
    from gateway.access.tokens import mint_token
    from watchfloor.local_stack import find_settings, gateway_addresses, read_endpoints

    settings = find_settings(config, state_dir)
    if state_dir is None and config is not None:
        _, address = gateway_addresses(settings)
    else:
        where = state_dir or default_state_dir()
        endpoints = read_endpoints(where)
        if endpoints is None:
            raise WatchfloorError(
                f"the stack in {where} is not running", "start it with `watchfloor up` or `watchfloor demo`"
            )
        address = endpoints.websocket
    capabilities = [Capability.VIEW, Capability.VIEW_ALL_CLIENTS, *([Capability.VIEW_PII] if names else [])]

    def mint() -> str:
        return mint_token(
            settings.auth, tenant_id=tenant, user="tail", capabilities=capabilities, lifetime_s=_TOKEN_LIFETIME_S
        )

    mint()  # raises if the gateway accepts no development tokens, before anything is shown
    return address, mint
