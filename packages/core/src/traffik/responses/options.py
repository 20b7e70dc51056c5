"""The options for responses: which header fields they have, and what a refusal says.

`traffik.responses.headers` writes the fields, `traffik.responses.rejections` the refusals.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Final, Protocol

from traffik.model.decisions import Decision
from traffik.model.descriptions import describe
from traffik.model.rates import Rate
from traffik.model.units import BYTES, CONCURRENT, REQUESTS, check_unit

__all__ = [
    "DEFAULT",
    "FIELDS",
    "LONGEST_JITTER",
    "SHORTEST_SECRET",
    "UNITS",
    "Policies",
    "ResponseOptions",
    "Serializer",
]

FIELDS: Final = ("draft-11", "draft-06", "x-ratelimit")
"""The sets of header fields that have a name.

``"draft-11"``: ``RateLimit-Policy`` and ``RateLimit`` of draft-ietf-httpapi-ratelimit-headers-11. ``"draft-06"``: the
triple ``RateLimit-Limit``, ``-Remaining`` and ``-Reset`` of its revisions up to 06. ``"x-ratelimit"``: the same three
as ``X-RateLimit-…``, which no standard describes.
"""

UNITS: Final = (REQUESTS, BYTES, CONCURRENT)
"""The quota units of draft-ietf-httpapi-ratelimit-headers-11 (its registry of RateLimit Quota Units)."""

LONGEST_JITTER: Final = 86_400
"""Seconds."""

SHORTEST_SECRET: Final = 16
"""Bytes. The longest secret has 64."""

_MARK: Final = 12
"""Bytes of a partition key. Two of a billion clients have the same key with a chance of one in a hundred billion."""


class Policies(Protocol):
    """The policies of one limit, as passed to a serializer."""

    @property
    def names(self) -> tuple[str, ...]:
        """The policy name of each rate."""
        ...

    @property
    def rates(self) -> tuple[Rate, ...]:
        """The rates."""
        ...

    @property
    def responses(self) -> ResponseOptions:
        """The options of the limit."""
        ...

    def name(self, decision: Decision) -> str | None:
        """The name of the binding policy."""
        ...

    def seconds(self, decision: Decision) -> int | None:
        """Whole seconds until more is available."""
        ...


class Serializer(Protocol):
    """Writes your own header fields. It is called at each response, with the policies of a limit and a decision.

    It returns names and values as they are sent, in ASCII and without line breaks. It may return none.
    """

    def __call__(self, policies: Policies, decision: Decision, /) -> Iterable[tuple[str, str]]: ...


@dataclass(frozen=True, slots=True)
class ResponseOptions:
    """What a throttle's responses tell the client.

    Args:
        fields: one or several names from `FIELDS` and functions (see `Serializer`); ``()`` for no fields. A refusal
            always has a ``Retry-After``.
        unit: the unit of quota of rates that name none, sent as the parameter ``qu``: one of `UNITS`, or a word such as
            ``"tokens"``. None means requests, and sends none.
        partition_secret: 16 to 64 bytes. With a secret, the fields of draft-11 identify a client's quota (``pk``) by a
            keyed hash. It is the same on all servers that share the secret, and the key cannot be guessed from it.
        jitter: seconds, 0 to `LONGEST_JITTER`: the most that is added to the exact wait. The amount depends on the
            client's key, so one client always gets the same, and many clients are spread evenly.
        problem: whether the body of a refusal is a problem (RFC 9457). If not, it is ``{"detail": …}`` alone.

    Raises:
        TypeError, ValueError: an argument is none of the above.
    """

    fields: Sequence[str | Serializer] = ("draft-11",)
    unit: str | None = None
    partition_secret: bytes | None = field(default=None, repr=False)
    jitter: int = 0
    problem: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "fields", _checked(self.fields))
        if self.unit not in UNITS:
            object.__setattr__(self, "unit", check_unit(self.unit))
        secret = self.partition_secret
        if secret is not None and not (isinstance(secret, bytes) and SHORTEST_SECRET <= len(secret) <= 64):
            what = f"{len(secret)} bytes" if isinstance(secret, bytes) else type(secret).__name__
            raise ValueError(
                f"a partition secret has {SHORTEST_SECRET} to 64 bytes, such as secrets.token_bytes(32), not {what}"
            )
        if type(self.jitter) is not int or not 0 <= self.jitter <= LONGEST_JITTER:
            raise ValueError(f"jitter is a number of whole seconds from 0 to {LONGEST_JITTER}, not {self.jitter!r}")
        if type(self.problem) is not bool:
            raise TypeError(f"problem is True or False, not {self.problem!r}")

    @property
    def keyed(self) -> bool:
        """Whether responses depend on the client's key."""
        return self.partition_secret is not None or self.jitter > 0

    def partition(self, key: str) -> bytes:
        """The keyed hash of the local key `key`, which is sent in its place."""
        text = key.encode("utf-8", "surrogatepass")
        return blake2b(text, key=self.partition_secret or b"", digest_size=_MARK, person=b"traffik.pk").digest()

    def jitter_of(self, partition: bytes) -> int:
        """Seconds, 0 to `jitter`, that are added to the wait of a partition's client; 0 if the partition is unknown."""
        return int.from_bytes(partition[:8], "big") * (self.jitter + 1) >> 64


def _checked(given: object) -> tuple[str | Serializer, ...]:
    each = (given,) if isinstance(given, str) else given
    if not isinstance(each, list | tuple):
        raise TypeError(f"fields are names and functions in a tuple, such as ('draft-11',), not {describe(given)}")
    for one in each:
        if one not in FIELDS and (isinstance(one, str) or not callable(one)):
            raise ValueError(
                f"fields are {', '.join(map(repr, FIELDS))}, or functions that write some, not {describe(one)}"
            )
    return tuple(dict.fromkeys(each))


DEFAULT: Final = ResponseOptions()
"""The options if none are given: the fields of draft-11, and problems."""
