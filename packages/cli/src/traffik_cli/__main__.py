"""``traffik`` and ``python -m traffik_cli`` run the command line."""

from __future__ import annotations

__all__ = ["start"]


def start() -> None:
    """Run the command line and exit."""
    # Here, since the processes of --jobs import this module too, and need none of the commands.
    from traffik_cli.main import main

    main()


if __name__ == "__main__":
    start()
