"""The command ``traffik`` and its subcommands. Errors give a message and exit code 2, never a traceback."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import Final

import click

from traffik.model.errors import TraffikError
from traffik_cli.commands import changes, facts, keys
from traffik_cli.commands.lint import lint
from traffik_cli.commands.replay import replay
from traffik_cli.words import use_any_encoding

__all__ = ["cli", "main", "run"]

_INTERRUPTED: Final = 130

_COMPLETION: Final = "_TRAFFIK_COMPLETE"
"""The variable with which a shell asks click for completions. Then the exit code is for the shell."""


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="traffik-cli")
def cli() -> None:
    """Try rate limits on access logs, look into stores, and check limits."""


for _command in (
    replay,
    keys.explain,
    keys.stat_key,
    keys.top,
    keys.reset_keys,
    changes.change,
    changes.changes,
    facts.adapters,
    facts.rate,
    facts.schema,
    facts.synthetic,
    facts.completion,
    lint,
):
    cli.add_command(_command)


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
