"""The header fields of a decision: plain text, made from the decision that was taken and never from a second read.

``RateLimit-Policy`` and ``RateLimit`` as in draft-ietf-httpapi-ratelimit-headers-11 (parameters ``q w`` and ``r t``),
``Retry-After`` in seconds as in RFC 9110, section 10.2.3. All times are whole seconds, rounded up, so that obeying
them is always enough.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from traffik.decisions import NEVER, Decision
from traffik.rates import Rate

__all__ = ["Policies", "policies", "policy_name", "retry_after"]

_SECOND: Final = 1_000_000
_LARGEST: Final = 10**15 - 1
"""The largest integer of a structured field (RFC 9651, section 3.3.1)."""


@dataclass(frozen=True, slots=True, eq=False)
class Policies:
    """The policies of one limit as they go out: names and the field that lists them are worked out once.

    Attributes:
        field: the value of ``RateLimit-Policy``; empty if nothing limits.
        raw_field: the same as a pair of bytes.
        name: the quoted name of the only policy; empty if there are several.
        form: the value of ``RateLimit`` of the only policy, to be filled in; empty if there are several.
        forms: the same of each rate.
    """

    field: str
    raw_field: tuple[bytes, bytes]
    name: str
    form: bytes
    forms: dict[Rate, bytes]

    def raw_fields(self, decision: Decision) -> tuple[tuple[bytes, bytes], ...]:
        """Both fields of `decision` as bytes, names in lower case; none if nothing was counted.

        The value of ``RateLimit`` is what is left and the seconds until more is.
        """
        # Runs once for every answer: by index, since to unpack a named tuple takes longer.
        rate, left = decision[5], decision[2]
        if decision[0]:
            wait = decision[4]
        else:
            wait = decision[3]
            if wait >= NEVER:
                return ()
        if rate is None:
            return ()
        if left > _LARGEST:
            left = _LARGEST
        return self.raw_field, (b"ratelimit", (self.form or self.forms[rate]) % (left, -(-wait // _SECOND)))

    def limit_field(self, decision: Decision) -> str | None:
        """The value of ``RateLimit`` as text; None if nothing was counted."""
        fields = self.raw_fields(decision)
        return fields[1][1].decode() if fields else None

    def headers(self, decision: Decision) -> list[tuple[str, str]]:
        """All fields that belong to `decision`, by name and value."""
        fields = []
        if (wait := retry_after(decision)) is not None:
            fields.append(("Retry-After", str(wait)))
        if self.field:
            fields.append(("RateLimit-Policy", self.field))
        if (limit := self.limit_field(decision)) is not None:
            fields.append(("RateLimit", limit))
        return fields


def policies(uid: str, rates: Sequence[Rate]) -> Policies:
    """The policies of the limit `uid`; several rates are numbered ``name.1``, ``name.2``, …"""
    name = policy_name(uid)
    quoted = [f'"{name}"'] if len(rates) == 1 else [f'"{name[:60]}.{place}"' for place in range(1, len(rates) + 1)]
    listed = ", ".join(_policy(each, rate) for each, rate in zip(quoted, rates, strict=True))
    forms = [each.encode() + b";r=%d;t=%d" for each in quoted]
    return Policies(
        field=listed,
        raw_field=(b"ratelimit-policy", listed.encode()),
        name=quoted[0] if len(rates) == 1 else "",
        form=forms[0] if len(rates) == 1 else b"",
        forms=dict(zip(rates, forms, strict=True)),
    )


def policy_name(uid: str) -> str:
    """`uid` as a policy name: 1 to 64 of ``A-Z a-z 0-9 . _ : -``, anything else replaced by ``-``."""
    return re.sub(r"[^A-Za-z0-9._:-]", "-", uid)[:64]


def retry_after(decision: Decision) -> int | None:
    """The value of ``Retry-After`` in seconds; None if the hit is admitted, or if no waiting will help."""
    return None if decision.allowed or decision.never else max(1, decision.wait_seconds)


def _policy(name: str, rate: Rate) -> str:
    field = f"{name};q={min(rate.limit, _LARGEST)}"
    # The window is optional, and a whole number of seconds; a rate that has none does not state it.
    return field if rate.period % _SECOND else f"{field};w={rate.period // _SECOND}"
