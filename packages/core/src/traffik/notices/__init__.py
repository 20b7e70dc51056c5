"""Warnings about a setup that works but does not do what was meant. Each is logged once, with an id."""

from __future__ import annotations

from traffik.notices.log import DOCS, IDS, Notice, clear_notices, notify, said, silence

__all__ = ["DOCS", "IDS", "Notice", "clear_notices", "notify", "said", "silence"]
