"""``python -m traffik``: the command line, if what it needs is installed."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line; say what to install where that is missing."""
    try:
        from traffik.cli.main import run
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in {"click", "matplotlib", "rich", "zstandard"}:
            sys.exit(f"traffik: the command line needs {error.name}: pip install 'traffik[cli]'")
        raise
    sys.exit(run())


if __name__ == "__main__":
    main()
