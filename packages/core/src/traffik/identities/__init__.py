"""Which client a request belongs to. The names here are ready-made identifiers for throttles."""

from __future__ import annotations

from traffik.identities.identifiers import (
    Identifier,
    Known,
    KnownOption,
    address,
    api_key,
    bearer,
    combined,
    cookie,
    deny,
    digest,
    everyone,
    exempt,
    first_of,
    hashed,
    header,
    is_everyone,
    read_networks,
    user,
)

__all__ = [
    "Identifier",
    "Known",
    "KnownOption",
    "address",
    "api_key",
    "bearer",
    "combined",
    "cookie",
    "deny",
    "digest",
    "everyone",
    "exempt",
    "first_of",
    "hashed",
    "header",
    "is_everyone",
    "read_networks",
    "user",
]
