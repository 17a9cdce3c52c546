"""The `watchfloor` command: one module for each command, and the boundary where failures become one line.

Command modules import what they run inside their functions, so that `--help` and the short commands
start quickly.
"""

import sys
from importlib import import_module
from typing import Any

import typer

from common.errors import WatchfloorError
from watchfloor.cli.app import app

_COMMAND_MODULES = ("up", "demo", "worker", "gateway", "connect", "token", "revoke", "tail", "doctor")


def main() -> None:
    """Run the command line; never returns.

    Exit codes: 0 done, 1 a failure explained in one line, 2 wrong usage, 130 interrupted.
    """
    for name in _COMMAND_MODULES:
        import_module(f"watchfloor.cli.{name}")
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
