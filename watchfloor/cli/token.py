"""`watchfloor token`: prints a development token on standard output, and nothing else there."""

from pathlib import Path
from typing import Annotated

import typer

from common.errors import WatchfloorError
from watchfloor.cli.app import app

_EPILOG = """
[bold]Examples[/]

  watchfloor token --tenant 1 --user ops --capability noc:view --capability noc:view_all_clients

  watchfloor token --tenant 5 --user branch --capability noc:view --client 501 --site 5001

  watchfloor tail --url ws://127.0.0.1:8080 --token-file <(watchfloor token --tenant 1 --user me)
"""


@app.command(epilog=_EPILOG)
def token(
    context: typer.Context,
    tenant: Annotated[int, typer.Option(help="Tenant id.", min=1)],
    user: Annotated[str, typer.Option(help="User: the subject of the token.")],
    capability: Annotated[
        list[str] | None,
        typer.Option(
            help="Such as noc:view; repeatable. "
            "By default noc:view, and noc:view_all_clients unless a client or site is given."
        ),
    ] = None,
    client: Annotated[list[int] | None, typer.Option(help="Client that the user may see; repeatable.")] = None,
    site: Annotated[list[int] | None, typer.Option(help="Site that the user may see; repeatable.")] = None,
    lifetime_hours: Annotated[float, typer.Option(help="Hours until it expires.", min=0.001, max=24 * 30)] = 12.0,
    link: Annotated[
        bool, typer.Option("--link", help="Print a link that signs in once, in the place of the token.")
    ] = False,
    state_dir: Annotated[Path | None, typer.Option(help="State directory of the stack.")] = None,
) -> None:
    """Print a development token for the gateway of this machine's stack.

    Without noc:view_all_clients, and without a client or a site, the token shows no client's records. In production
    tokens come from your identity provider, and this command refuses to create one.
    """
    from gateway.access.bearer import Capability
    from gateway.access.tokens import mint_token
    from watchfloor.cli.links import sign_in_link
    from watchfloor.local_stack import find_settings, gateway_addresses

    default = [Capability.VIEW] if client or site else [Capability.VIEW, Capability.VIEW_ALL_CLIENTS]
    capabilities = known_capabilities(capability or [str(each) for each in default])
    settings = find_settings(context.obj.config, state_dir)
    if not user.strip():
        raise WatchfloorError("the token's user is empty", "give the user with --user")
    minted = mint_token(
        settings.auth,
        tenant_id=tenant,
        user=user,
        capabilities=capabilities,
        clients=client or None,
        sites=site or None,
        lifetime_s=round(lifetime_hours * 3600),
    )
    typer.echo(sign_in_link(gateway_addresses(settings)[0], minted) if link else minted)


def known_capabilities(names: list[str]) -> list[str]:
    """The names, each once.

    Raises:
        WatchfloorError: a capability does not exist; in a token it would silently have no effect.
    """
    from gateway.access.bearer import Capability

    known = [str(capability) for capability in Capability]
    for name in names:
        if name not in known:
            raise WatchfloorError(f"there is no capability {name}", f"use one of {', '.join(known)}")
    return list(dict.fromkeys(names))
