"""The header fields of a decision: plain text, made from the decision that was taken and never from a second read.

``RateLimit-Policy`` and ``RateLimit`` as in draft-ietf-httpapi-ratelimit-headers-11 (parameters ``q w qu pk`` and ``r t
pk``), the older triples by option (`traffik.outgoing`), ``Retry-After`` in seconds as in RFC 9110, section 10.2.3. All
times are whole seconds, rounded up, so that obeying them is always enough.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import chain, groupby
from typing import Final, TypeAlias

from traffik.decisions import FORBIDDEN, NEVER, Decision
from traffik.outgoing import DEFAULT, Outgoing, Serializer
from traffik.rates import Rate

__all__ = ["Policies", "RawField", "RawFields", "policies", "policy_name", "retry_after", "together"]

RawField: TypeAlias = tuple[bytes, bytes]
"""A header field as servers take it: its name, in lower case, and its value."""

RawFields: TypeAlias = tuple[RawField, ...]

_SECOND: Final = 1_000_000
_LARGEST: Final = 10**15 - 1
"""The largest integer of a structured field (RFC 9651, section 3.3.1)."""

_LONGEST: Final = 64
"""Characters of a policy name."""

_ROOM: Final = 4
"""Characters of it for the number of a rate, such as ``.12``."""

_DIGEST: Final = 6
"""Bytes of the hash in a policy name."""

_UNFIT: Final = re.compile(r"[^A-Za-z0-9._:-]")
_MARKED: Final = re.compile(rf"\.[0-9]+\Z|--[0-9a-f]{{{2 * _DIGEST}}}\Z")
"""How a name ends that has the number of a rate, or a hash."""

_TRIPLE: Final = ("Limit", "Remaining", "Reset")
_ONCE: Final = frozenset(f"{kind}-{part}".lower().encode() for kind in ("RateLimit", "X-RateLimit") for part in _TRIPLE)
"""What an answer can say of one limit only; the others are lists."""


@dataclass(frozen=True, slots=True, eq=False)
class Policies:
    """The policies of one limit as they go out: what depends on no decision is worked out once.

    Attributes:
        names: the policy of each rate, by name.
        rates: the rates.
        outgoing: what goes out with a decision.
        field: the value of ``RateLimit-Policy``, without partition keys; empty if nothing limits.
        varied: whether refusals in the same seconds may read differently: to each client, or by a function.
        raw_fields: answers all fields of a decision but ``Retry-After``, as bytes; none if nothing was counted, or for
            a client that is denied.
    """

    names: tuple[str, ...]
    rates: tuple[Rate, ...]
    outgoing: Outgoing
    field: str
    varied: bool
    raw_fields: Callable[[Decision], RawFields]

    def headers(self, decision: Decision) -> list[tuple[str, str]]:
        """All fields that belong to `decision`, by name and value; none for a client that is denied."""
        if decision.degraded == FORBIDDEN:
            return []
        wait = self.retry_after(decision)
        fields = [] if wait is None else [("Retry-After", str(wait))]
        for writer in _writers(self.outgoing):
            fields += writer(self, decision)
        return fields

    def retry_after(self, decision: Decision) -> int | None:
        """`retry_after`, and the client's share of the jitter."""
        wait = retry_after(decision)
        return wait if wait is None else wait + self.outgoing.jitter_of(decision.partition)

    def seconds(self, decision: Decision) -> int | None:
        """Seconds until more is left: the reset of an admitted hit, the wait of a refused one; None if none helps."""
        return -(-decision.reset_after // _SECOND) if decision.allowed else self.retry_after(decision)

    def violated(self, decision: Decision) -> tuple[str, ...]:
        """The names of the policies for which `decision` is a refusal."""
        name = None if decision.allowed else self.name(decision)
        return () if name is None else (name,)

    def name(self, decision: Decision) -> str | None:
        """The name of the policy that binds in `decision`; None if nothing was counted."""
        if decision.rate is None or not self.names:
            return None
        if len(self.names) == 1:
            return self.names[0]
        return self.names[self.rates.index(decision.rate)] if decision.rate in self.rates else None

    def likeness(self, decision: Decision) -> Hashable:
        """Decisions that are alike in this are refused in the same words, so that these can be kept ready."""
        if self.varied:
            return self, decision, decision.partition
        # To hash a rate takes longer than all the rest.
        rate = decision[5] if len(self.names) > 1 else None
        return self, decision[2], -(-decision[3] // _SECOND), rate, decision[6]


def policies(uid: str, rates: Sequence[Rate], outgoing: Outgoing = DEFAULT) -> Policies:
    """The policies of the limit `uid`; several rates are numbered ``name.1``, ``name.2``, …"""
    names: tuple[str, ...] = (policy_name(uid),)
    if len(rates) != 1:
        name = policy_name(uid, _LONGEST - _ROOM)
        names = tuple(f"{name}.{place}" for place in range(1, len(rates) + 1))
    field = _listed(names, rates, outgoing)
    quick = _quick(names, rates, field)
    varied = outgoing.keyed or not all(isinstance(each, str) for each in outgoing.fields)
    known = Policies(names, tuple(rates), outgoing, field, varied, quick)
    if outgoing.fields != DEFAULT.fields or outgoing.keyed:
        object.__setattr__(known, "raw_fields", lambda decision: _written(known, decision))
    return known


def together(answers: Iterable[tuple[Policies, Decision]]) -> list[RawField]:
    """The fields of several decisions about one request; what can be said once is said of the one with least left."""
    pairs = list(answers)
    fields = [field for known, decision in pairs for field in known.raw_fields(decision)]
    if len(pairs) == 1 or not any(name in _ONCE for name, _ in fields):
        return fields
    scarcest = sorted(pairs, key=lambda pair: (pair[1].allowed, pair[1].remaining))
    once: dict[bytes, list[RawField]] = {}
    for known, decision in scarcest:
        for kind, triple in groupby(known.raw_fields(decision), _kind_of_triple):
            once.setdefault(kind, list(triple))
    return [*(field for field in fields if field[0] not in _ONCE), *chain(*(once[kind] for kind in once if kind))]


def _kind_of_triple(field: RawField) -> bytes:
    """The prefix of a field that an answer can say of one limit only; empty for others."""
    return field[0].rpartition(b"-")[0] if field[0] in _ONCE else b""


def policy_name(uid: str, longest: int = _LONGEST) -> str:
    """`uid` as a policy name: 1 to `longest` of ``A-Z a-z 0-9 . _ : -``.

    A uid that is such a name keeps it. Any other has the missing characters replaced by ``-``, and ends in ``--`` and a
    hash, so that different uids have different names. So does a uid that looks as if it already had a number or a hash.
    """
    if len(uid) <= longest and not _UNFIT.search(uid) and not _MARKED.search(uid):
        return uid
    digest = blake2b(uid.encode("utf-8", "surrogatepass"), digest_size=_DIGEST).hexdigest()
    return f"{_UNFIT.sub('-', uid)[: longest - 2 - len(digest)]}--{digest}"


def retry_after(decision: Decision) -> int | None:
    """The exact value of ``Retry-After`` in seconds; None if the hit is admitted, or if no waiting will help."""
    return None if decision.allowed or decision.never else max(1, decision.wait_seconds)


def _quick(names: Sequence[str], rates: Sequence[Rate], field: str) -> Callable[[Decision], RawFields]:
    """`_draft_11` as bytes, for limits that say no partition key: runs once for every answer."""
    listed = (b"ratelimit-policy", field.encode())
    alone = (listed,) if rates else ()
    forms: dict[Rate | None, bytes] = {}
    for name, rate in zip(names, rates, strict=True):
        forms.setdefault(rate, f'"{name}"'.encode() + b";r=%d;t=%d")
    only = next(iter(forms.values())) if len(rates) == 1 else None
    largest, never, second = _LARGEST, NEVER, _SECOND

    def raw_fields(decision: Decision) -> RawFields:
        # By index, since to unpack a named tuple takes longer.
        rate, left = decision[5], decision[2]
        if decision[0]:
            if rate is None:
                return ()
            wait = decision[4]
        else:
            wait = decision[3]
            if rate is None or wait >= never:
                return () if decision[6] == FORBIDDEN else alone
        if left > largest:
            left = largest
        if only is not None:
            return listed, (b"ratelimit", only % (left, -(-wait // second)))
        form = forms.get(rate)
        return alone if form is None else (listed, (b"ratelimit", form % (left, -(-wait // second))))

    return raw_fields


def _written(known: Policies, decision: Decision) -> RawFields:
    """What the writers of these policies write, as bytes."""
    if decision.degraded == FORBIDDEN:
        return ()
    return tuple(
        (name.lower().encode("ascii"), value.encode("ascii"))
        for writer in _writers(known.outgoing)
        for name, value in writer(known, decision)
    )


def _writers(outgoing: Outgoing) -> Iterable[Serializer]:
    return (_NAMED[each] if isinstance(each, str) else each for each in outgoing.fields)


def _draft_11(known: Policies, decision: Decision) -> list[tuple[str, str]]:
    if not known.rates or (decision.allowed and decision.rate is None):
        return []
    secret, partition = known.outgoing.partition_secret, decision.partition
    mark = f";pk=:{b64encode(partition).decode()}:" if secret is not None and partition else ""
    fields = [("RateLimit-Policy", _listed(known.names, known.rates, known.outgoing, mark))]
    name, seconds = known.name(decision), known.seconds(decision)
    if name is not None and seconds is not None:
        fields.append(("RateLimit", f'"{name}";r={min(decision.remaining, _LARGEST)};t={seconds}{mark}'))
    return fields


def _triple(prefix: str) -> Serializer:
    def write(known: Policies, decision: Decision) -> list[tuple[str, str]]:
        if decision.rate is None:
            return []
        # Of a cost that can never fit, the store was not asked what is left.
        left = None if decision.never else decision.remaining
        numbers = (decision.limit, left, known.seconds(decision))
        named = zip(_TRIPLE, numbers, strict=True)
        return [(f"{prefix}-{part}", str(min(number, _LARGEST))) for part, number in named if number is not None]

    return write


_NAMED: Final[dict[str, Serializer]] = {
    "draft-11": _draft_11,
    "draft-06": _triple("RateLimit"),
    "x-ratelimit": _triple("X-RateLimit"),
}


def _listed(names: Sequence[str], rates: Sequence[Rate], outgoing: Outgoing, mark: str = "") -> str:
    rest = mark if outgoing.unit is None else f';qu="{outgoing.unit}"{mark}'
    return ", ".join(_policy(*each) + rest for each in zip(names, rates, strict=True))


def _policy(name: str, rate: Rate) -> str:
    item = f'"{name}";q={min(rate.limit, _LARGEST)}'
    # The window is optional, and a whole number of seconds; a rate that has none does not state it.
    return item if rate.period % _SECOND else f"{item};w={rate.period // _SECOND}"
