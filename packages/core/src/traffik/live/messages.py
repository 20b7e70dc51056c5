"""A request to the live page and its response, as plain values. Adapters translate both."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from typing import Any, Final

__all__ = ["MOST_BYTES", "LiveRequest", "LiveResponse", "json_response"]

MOST_BYTES: Final = 16_384
"""Bytes of the longest body that is read. An adapter passes on no more than one byte beyond."""

_PRIVATE: Final = (
    ("Cache-Control", "no-store"),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "same-origin"),
)


@dataclass(frozen=True, slots=True)
class LiveRequest:
    """A request.

    Attributes:
        method: in upper case.
        path: below the place where the page is mounted, with a slash at the beginning.
        headers: values by name, in lower case.
        body: its bytes; if longer than `MOST_BYTES`, any part of it that is longer.
        secure: whether it came over HTTPS.
        native: the framework's own request, for `authorize`.
        streams: whether the server can send a response that does not end soon, without holding a thread.
    """

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    secure: bool = False
    native: Any = None
    streams: bool = True

    def cookie(self, name: str) -> str:
        """The value of a cookie; empty if there is none."""
        try:
            found = SimpleCookie(self.headers.get("cookie", "")).get(name)
        except CookieError:
            return ""
        return "" if found is None else found.value


@dataclass(frozen=True, slots=True)
class LiveResponse:
    """A response.

    Attributes:
        status: the HTTP status.
        headers: header fields, in order; a name may come twice.
        body: bytes, or parts that come over time.
    """

    status: int
    headers: Sequence[tuple[str, str]]
    body: bytes | AsyncIterator[bytes]

    @classmethod
    def of(cls, status: int, kind: str, body: bytes | AsyncIterator[bytes], *more: tuple[str, str]) -> LiveResponse:
        """A response that nothing may keep in a cache."""
        return cls(status, (("Content-Type", kind), *_PRIVATE, *more), body)


def json_response(status: int, value: object, *more: tuple[str, str]) -> LiveResponse:
    """A response in JSON."""
    return LiveResponse.of(status, "application/json", json.dumps(value).encode(), *more)
