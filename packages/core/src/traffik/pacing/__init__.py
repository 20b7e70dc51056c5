"""Pacing calls to the APIs of others: a client waits for a limit of yours, and for as long as the server asks.

The clients are in `traffik.pacing.httpx` and `traffik.pacing.aiohttp`.
"""

from __future__ import annotations

from traffik.pacing.pacer import IDEMPOTENT, KeyOption, by_host

__all__ = ["IDEMPOTENT", "KeyOption", "by_host"]
