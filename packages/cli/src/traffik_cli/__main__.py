"""``python -m traffik_cli`` runs the command line."""

from __future__ import annotations

from traffik_cli.main import main

__all__: list[str] = []

main()
