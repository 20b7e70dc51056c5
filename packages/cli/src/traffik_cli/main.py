"""The command ``traffik`` and its subcommands. Errors give a message and exit code 2, never a traceback."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from importlib import import_module
from typing import Final

import click

from traffik.model.errors import TraffikError
from traffik_cli.words import use_any_encoding

__all__ = ["cli", "main", "run"]

_INTERRUPTED: Final = 130

_COMPLETION: Final = "_TRAFFIK_COMPLETE"
"""The variable with which a shell asks click for completions. Then the exit code is for the shell."""


_COMMANDS: Final = {
    "adapters": "facts.adapters",
    "change": "changes.change",
    "changes": "changes.changes",
    "completion": "facts.completion",
    "explain": "keys.explain",
    "lint": "lint.lint",
    "rate": "facts.rate",
    "replay": "replay.replay",
    "reset": "keys.reset_keys",
    "schema": "facts.schema",
    "stat": "keys.stat_key",
    "synthetic": "facts.synthetic",
    "top": "keys.top",
}
"""The commands by name: the module below `traffik_cli.commands`, and the function in it."""


class _Commands(click.Group):
    """The commands. Each is imported when it is used, so that one does not wait for the libraries of another."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        module, _, function = _COMMANDS.get(cmd_name, "").partition(".")
        if not module:
            return None
        command: click.Command = getattr(import_module(f"traffik_cli.commands.{module}"), function)
        return command


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="traffik-cli")
def cli() -> None:
    """Try rate limits on access logs, look into stores, and check limits."""


def run(arguments: list[str] | None = None) -> int:
    """Run a command. The exit code is 0, 1 if a condition is true, 2 for an error, or 130 for an interrupt."""
    use_any_encoding()
    try:
        code = cli.main(arguments, prog_name="traffik", standalone_mode=False, obj=arguments)
    except (click.ClickException, TraffikError, ValueError, TypeError, OSError) as error:
        return _ended(error)
    except SystemExit as ended:
        return _left(ended)
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        return _INTERRUPTED
    return code if isinstance(code, int) else 0


def _ended(error: Exception) -> int:
    with suppress(BrokenPipeError):  # the reader has closed the pipe
        if isinstance(error, click.ClickException):
            error.show()
        else:
            click.echo(f"traffik: {error}", err=True)
    return 2


def _left(ended: SystemExit) -> int:
    """The exit code where click or rich exit by themselves: they use 1 if the reader has closed the pipe.

    That is no error, so the exit code is 0. Standard output is replaced, since the interpreter would write the rest at
    its end.
    """
    if ended.code != 1 or _COMPLETION in os.environ:
        raise ended
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def main() -> None:
    """Run the command line and exit."""
    sys.exit(run())
