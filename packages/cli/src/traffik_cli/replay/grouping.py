"""Requests in groups, each with its own limit: ``--by path``, ``--by method``, ``--by field:plan``.

A path stands for all that differ from it in numbers and identifiers alone: ``/items/17`` is ``/items/*``. The groups
with the most requests stay; all others are one.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

from traffik.model.errors import ConfigurationError
from traffik_cli.replay.batches import Hit, Wanted
from traffik_cli.replay.selectors import Selector, selector

__all__ = ["OTHERS", "Grouping", "busiest", "grouping_of", "path_template"]

OTHERS: Final = "everything else"
"""The group of the requests that are in no other group."""

_MOST: Final = 2_000
"""How many groups are counted separately while a log is read."""

_KNOWN: Final = 50_000
_VARYING: Final = re.compile(
    r"[0-9]+|[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}|(?=[a-zA-Z]*[0-9])[0-9a-fA-F]{8,}|[0-9A-HJKMNP-TV-Z]{26}"
)
"""Segments that differ from request to request: numbers, UUIDs, hashes, ULIDs."""


@dataclass(frozen=True, slots=True)
class Grouping:
    """How requests are grouped.

    Attributes:
        path: whether by path.
        method: whether by method.
        fields: and by the values of these.
    """

    path: bool = False
    method: bool = False
    fields: tuple[Selector, ...] = ()

    @property
    def request(self) -> bool:
        """Whether method and path have to be read."""
        return self.path or self.method

    @property
    def rules(self) -> bool:
        """Whether rules of a throttle can tell the groups apart."""
        return self.request and not self.fields

    def labels(self, wanted: Wanted) -> Callable[[Hit], str] | None:
        """What names the group of a hit that holds what is `wanted`; None if nothing is grouped."""
        places = [wanted.selectors.index(each) for each in self.fields]
        if not self.request and not places:
            return None
        known: dict[Hit, str] = {}
        seen: set[str] = set()

        def label(hit: Hit) -> str:
            parts = (*(hit[place] for place in places), *(hit[-2:] if self.request else ()))
            found = known.get(parts)
            if found is None:
                if len(known) >= _KNOWN:
                    known.clear()
                found = self._label(parts)
                found = found if found in seen or len(seen) < _MOST else OTHERS
                seen.add(found)
                known[parts] = found
            return found

        return (lambda key: label((key,))) if wanted.bare else label

    def _label(self, parts: tuple[bytes | None, ...]) -> str:
        texts = ["none" if not part or part == b"-" else part.decode("utf-8", "replace") for part in parts]
        words = [f"{each.name}={text}" for each, text in zip(self.fields, texts, strict=False)]
        if self.method:
            words.append("GET" if texts[-2] == "HEAD" else texts[-2])
        if self.path:
            words.append(path_template(texts[-1]) if parts[-1] else "no path")
        return " ".join(words)


def grouping_of(texts: Sequence[str]) -> Grouping:
    """The grouping that ``path``, ``method``, ``field:NAME`` and ``header:NAME`` spell together.

    Raises:
        ConfigurationError: one of them is none of these.
    """
    fields: list[Selector] = []
    for text in texts:
        if text in {"path", "method"}:
            continue
        if not text.startswith(("field:", "header:")):
            raise ConfigurationError(f"{text!r} cannot group requests: give path, method, field:NAME or header:NAME")
        fields.append(selector(text))
    return Grouping("path" in texts, "method" in texts, tuple(dict.fromkeys(fields)))


def path_template(path: str) -> str:
    """A path with ``*`` for the segments that differ from request to request."""
    segments = unquote(path).split("/")
    return "/".join("*" if _VARYING.fullmatch(each) else each for each in segments).rstrip("/") or "/"


def busiest(groups: Counter[str], most: int) -> dict[str, str]:
    """The group that each is counted in: itself if it is among the `most` with most requests, else all others."""
    kept = {group for group, _ in groups.most_common(most)} - {OTHERS}
    return {group: group if group in kept else OTHERS for group in groups}
