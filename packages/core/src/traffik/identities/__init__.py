"""Which client a request belongs to. The names here are ready-made identifiers for throttles."""

from __future__ import annotations

from traffik.identities.identifiers import (
    CredentialIdentifier,
    CredentialsOption,
    address,
    api_key,
    bearer,
    combined,
    cookie,
    deny,
    digest,
    exempt,
    first_of,
    hashed,
    header,
    is_shared,
    may_deny,
    read_networks,
    shared,
    user,
)
from traffik.identities.preparing import Identifier, prepare_identifier

__all__ = [
    "CredentialIdentifier",
    "CredentialsOption",
    "Identifier",
    "address",
    "api_key",
    "bearer",
    "combined",
    "cookie",
    "deny",
    "digest",
    "exempt",
    "first_of",
    "hashed",
    "header",
    "is_shared",
    "may_deny",
    "prepare_identifier",
    "read_networks",
    "shared",
    "user",
]
