"""`watchfloor tail`: the live feed in a terminal. Messages go to standard output, notices to standard error."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from common.errors import WatchfloorError

_EPILOG = """
[bold]Examples[/]

  watchfloor tail --tenant 2

  watchfloor tail --stream anomaly --names

  watchfloor tail --site 12 --site 15

  watchfloor tail --json | jq .anomaly_type

  watchfloor tail --url wss://noc.example.com --token-file token.txt
"""
_TOKEN_LIFETIME_S = 3600


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog=_EPILOG)(tail)


def tail(
    context: typer.Context,
    state_dir: Annotated[Path | None, typer.Option(help="State directory of the stack to watch.")] = None,
    url: Annotated[
        str | None, typer.Option(help="Address of another gateway, ws:// or wss://; needs --token-file.")
    ] = None,
    token_file: Annotated[Path | None, typer.Option(help="File with a token; read again at each connection.")] = None,
    tenant: Annotated[
        int | None, typer.Option(help="Tenant id; a token file names its own. [default: 1]", min=1)
    ] = None,
    stream: Annotated[
        str, typer.Option(help="dashboard (one message a finding) or anomaly (one an event).")
    ] = "dashboard",
    client: Annotated[
        list[int] | None, typer.Option(help="Show this client only; repeat it for more. Sites narrow further.", min=1)
    ] = None,
    site: Annotated[list[int] | None, typer.Option(help="Show this site only; repeat it for more.", min=1)] = None,
    names: Annotated[bool, typer.Option("--names", help="Show personal data: adds noc:view_pii to the token.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the messages as they came, one a line.")] = False,
    count: Annotated[int | None, typer.Option(help="Stop after so many messages.", min=1)] = None,
    allow_plaintext: Annotated[bool, typer.Option(help="Send the token over ws:// to another machine.")] = False,
) -> None:
    """Show the live feed, reconnecting by itself, until Ctrl-C.

    Every message is shown once, those of a lost connection when it is back; where some cannot be had any more,
    a notice says which.
    """
    from watchfloor.cli.terminal import run_until_stopped, show
    from watchfloor_client import Feed, FeedError, FeedOptions, Stream

    if stream not in {str(each) for each in Stream}:
        raise WatchfloorError(f"there is no stream {stream}", "use dashboard or anomaly")
    if url is not None:
        address, token = url, _token_of_file(token_file, url, tenant, names=names)
    elif token_file is not None:
        raise WatchfloorError("--token-file needs the address of its gateway", "add --url")
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
        _ = options.address  # refuses a wrong address before anything is shown
        run_until_stopped(lambda: show(Feed(options), as_json=as_json, count=count))
    except FeedError as error:
        raise WatchfloorError(error.problem, error.advice) from error


def _token_of_file(file: Path | None, url: str, tenant: int | None, *, names: bool) -> Callable[[], str]:
    if file is None:
        raise WatchfloorError(f"there is no token for {url}", "name a file that holds one with --token-file")
    if tenant is not None or names:
        raise WatchfloorError(
            "--tenant and --names do not go with --token-file", "the token says both: leave them away"
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
    from gateway.access.tokens import Capability, mint_token
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

    mint()  # a gateway that takes no development tokens is refused here, before anything is shown
    return address, mint
