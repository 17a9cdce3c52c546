"""The `watchfloor` command: one module for each command, and the boundary where failures become one line.

Command modules import what they run inside their functions, so that `--help` and the short commands
start quickly.
"""

import sys
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

from common.errors import WatchfloorError
from common.settings.load import Settings, load_settings
from common.version import __version__

_COMMAND_MODULES = ("up", "demo", "worker", "gateway", "connect", "token", "revoke", "tail", "doctor")

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


def main() -> None:
    """Run the command line; never returns.

    Exit codes: 0 done, 1 a failure explained in one line, 2 wrong usage, 130 interrupted.
    """
    for name in _COMMAND_MODULES:
        module: Any = import_module(f"watchfloor.cli.{name}")
        module.register(app)
    verbose = any(argument in ("--verbose", "-v") for argument in sys.argv[1:])
    try:
        code = app(standalone_mode=False)
    except typer.exceptions.Exit as stop:
        code = stop.exit_code
    except typer.exceptions.Abort:
        code = 130
    except typer.exceptions.TyperException as usage:
        _say(_usage_line(usage))
        code = usage.exit_code
    except KeyboardInterrupt:
        code = 130
    except WatchfloorError as failure:
        if verbose:
            raise
        _say(str(failure))
        code = 1
    except Exception as defect:  # the outermost boundary: every defect becomes one line
        if verbose:
            raise
        _say(f"unexpected {type(defect).__name__}: {defect}: run again with --verbose and report the trace")
        code = 1
    raise SystemExit(code if isinstance(code, int) else 0)


def _usage_line(usage: Any) -> str:
    """One line for wrong usage, instead of typer's four."""
    context = getattr(usage, "ctx", None)
    command = context.command_path if context is not None else "watchfloor"
    return f"{usage.format_message().rstrip('.')}: see {command} --help"


def _say(line: str) -> None:
    colour, plain = ("\x1b[31m", "\x1b[0m") if sys.stderr.isatty() else ("", "")
    typer.echo(f"{colour}watchfloor:{plain} {line}", err=True)
