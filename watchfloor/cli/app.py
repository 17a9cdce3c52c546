"""The command line itself, to which each module of this folder adds its command, and the options before a command."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from common.settings.load import Settings, load_settings
from common.version import __version__

StateDir = Annotated[
    Path | None,
    typer.Option(help="Where data, logs and addresses are kept.", show_default="the user's data directory"),
]
CacheDir = Annotated[
    Path | None, typer.Option(help="Where downloads are kept.", show_default="the user's cache directory")
]
GatewayPort = Annotated[int | None, typer.Option(min=1, max=65535, help="Port of page and WebSockets.")]

app = typer.Typer(
    name="watchfloor",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Watches the database of a facility-operations business and shows its NOC what goes wrong, as it is committed.",
)


@dataclass(frozen=True, slots=True)
class Options:
    """The options before the name of the command."""

    config: Path | None
    verbose: bool

    def settings(self) -> Settings:
        """The settings of this process; raises SettingsError."""
        return load_settings(self.config)


@app.callback()
def _options(
    context: typer.Context,
    config: Annotated[
        Path | None, typer.Option("--config", help="TOML settings file.", envvar="WATCHFLOOR_CONFIG")
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show the trace of a failure.")] = False,
) -> None:
    context.obj = Options(config, verbose)


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(__version__)
