"""The header fields of a decision, made from the decision itself and never from a second read of the store.

``RateLimit-Policy`` and ``RateLimit`` follow draft-ietf-httpapi-ratelimit-headers-11 (parameters ``q w qu pk`` and ``r
t pk``). The older triples are an option (`traffik.responses.options`). ``Retry-After`` is in seconds, as in RFC 9110,
section 10.2.3. All times are whole seconds, rounded up, so a client that obeys them waits long enough.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from itertools import chain, groupby
from typing import Final, TypeAlias

from traffik.model.decisions import FORBIDDEN, NEVER, Decision
from traffik.model.rates import Rate
from traffik.responses.options import DEFAULT, Policies, ResponseOptions, Serializer

__all__ = ["PreparedPolicies", "RawField", "RawFields", "joined", "policies", "policy_name", "retry_after", "together"]

RawField: TypeAlias = tuple[bytes, bytes]
"""A header field as servers take it: its name, in lower case, and its value."""

RawFields: TypeAlias = tuple[RawField, ...]

_NAME: Final = re.compile(r"[A-Za-z0-9._:-]{1,60}")
_UNNAMED: Final = re.compile(r"[^A-Za-z0-9._:-]")
_MADE: Final = re.compile(r"-[0-9a-f]{12}$|\.\d+$")
"""The end of a name that has a hash, or that belongs to one of several rates."""

_SECOND: Final = 1_000_000
_LARGEST: Final = 10**15 - 1
"""The largest integer of a structured field (RFC 9651, section 3.3.1)."""

_TRIPLE: Final = ("Limit", "Remaining", "Reset")
_ONCE: Final = frozenset(f"{kind}-{part}".lower().encode() for kind in ("RateLimit", "X-RateLimit") for part in _TRIPLE)
"""Fields with room for one limit only. The other fields are lists."""

_LISTS: Final = frozenset({"RateLimit", "RateLimit-Policy"})
"""Fields that name several policies, separated by commas."""


@dataclass(frozen=True, slots=True, eq=False)
class PreparedPolicies:
    """The policies of one limit as they are sent. Everything that does not depend on a decision is prepared once.

    Attributes:
        names: the policy name of each rate.
        rates: the rates.
        responses: the options of the limit.
        field: the value of ``RateLimit-Policy``, without partition keys; empty if there is no rate.
        varied: whether refusals with the same seconds may differ, by client or because a function writes a field.
        raw_fields: returns all fields of a decision but ``Retry-After``, as bytes; none if nothing was counted, or for
            a denied client.
    """

    names: tuple[str, ...]
    rates: tuple[Rate, ...]
    responses: ResponseOptions
    field: str
    varied: bool
    raw_fields: Callable[[Decision], RawFields]

    def headers(self, decision: Decision) -> list[tuple[str, str]]:
        """All fields for `decision`, by name and value; none for a denied client."""
        if decision.degraded == FORBIDDEN:
            return []
        wait = self.retry_after(decision)
        fields = [] if wait is None else [("Retry-After", str(wait))]
        for writer in _writers(self.responses):
            fields += writer(self, decision)
        return fields

    def retry_after(self, decision: Decision) -> int | None:
        """`retry_after` plus the client's jitter."""
        wait = retry_after(decision)
        return wait if wait is None else wait + self.responses.jitter_of(decision.partition)

    def seconds(self, decision: Decision) -> int | None:
        """Seconds until more quota is available: the reset of an admitted hit, the wait of a refused one, or None."""
        return -(-decision.reset_after // _SECOND) if decision.allowed else self.retry_after(decision)

    def violated(self, decision: Decision) -> tuple[str, ...]:
        """The names of the policies that refuse in `decision`."""
        name = None if decision.allowed else self.name(decision)
        return () if name is None else (name,)

    def name(self, decision: Decision) -> str | None:
        """The name of the binding policy of `decision`; None if nothing was counted."""
        if decision.rate is None or not self.names:
            return None
        if len(self.names) == 1:
            return self.names[0]
        return self.names[self.rates.index(decision.rate)] if decision.rate in self.rates else None

    def unit(self, decision: Decision) -> str | None:
        """The unit of quota of the binding policy of `decision`; None for requests."""
        own = None if decision.rate is None else decision.rate.unit
        return own or self.responses.unit

    def likeness(self, decision: Decision) -> Hashable:
        """A key for a refusal: refusals with equal keys have the same response, so it can be kept ready."""
        if self.varied:
            return self, decision, decision.partition
        # hashing a rate takes longer than everything else here
        rate = decision[5] if len(self.names) > 1 else None
        return self, decision[2], -(-decision[3] // _SECOND), rate, decision[6]


def policies(uid: str, rates: Sequence[Rate], responses: ResponseOptions = DEFAULT) -> PreparedPolicies:
    """The policies of the limit `uid`; several rates are numbered ``name.1``, ``name.2``, …"""
    name = policy_name(uid)
    names = (name,) if len(rates) == 1 else tuple(f"{name}.{place}" for place in range(1, len(rates) + 1))
    field = _listed(names, rates, responses)
    quick = _quick(names, rates, field)
    varied = responses.keyed or not all(isinstance(each, str) for each in responses.fields)
    known = PreparedPolicies(names, tuple(rates), responses, field, varied, quick)
    if responses.fields != DEFAULT.fields or responses.keyed:
        object.__setattr__(known, "raw_fields", lambda decision: _written(known, decision))
    return known


def together(answers: Iterable[tuple[PreparedPolicies, Decision]]) -> list[RawField]:
    """The fields of several decisions about one request. A field with room for one is about the one with least left."""
    pairs = list(answers)
    fields = [field for known, decision in pairs for field in known.raw_fields(decision)]
    if len(pairs) == 1 or not any(name in _ONCE for name, _ in fields):
        return fields
    scarcest = sorted(pairs, key=lambda pair: (pair[1].allowed, pair[1].remaining))
    triples: dict[bytes, list[RawField]] = {}
    for known, decision in scarcest:
        own = [field for field in known.raw_fields(decision) if field[0] in _ONCE]
        for prefix, triple in groupby(own, lambda field: field[0].rpartition(b"-")[0]):
            triples.setdefault(prefix, list(triple))
    return [*(field for field in fields if field[0] not in _ONCE), *chain(*triples.values())]


def joined(
    known: PreparedPolicies, decision: Decision, others: Iterable[tuple[PreparedPolicies, Decision]]
) -> list[tuple[str, str]]:
    """The fields of a refusal, with the policies of `others` that were decided in the same step."""
    fields = known.headers(decision)
    for name, value in chain.from_iterable(other.headers(its) for other, its in others):
        place = next((place for place, field in enumerate(fields) if field[0] == name), None)
        if place is None and name != "Retry-After":
            fields.append((name, value))
        elif place is not None and name in _LISTS:
            fields[place] = name, f"{fields[place][1]}, {value}"
    return fields


def policy_name(uid: str) -> str:
    """`uid` as a policy name of 1 to 60 of ``A-Z a-z 0-9 . _ : -``, to which ``.1`` may be added for the first rate.

    Different uids have different names. A uid that cannot stand as it is, or that looks like a name made here, gets a
    hash of itself at its end.
    """
    if _NAME.fullmatch(uid) and not _MADE.search(uid):
        return uid
    digest = blake2b(uid.encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()
    return f"{_UNNAMED.sub('-', uid)[:47]}-{digest}"


def retry_after(decision: Decision) -> int | None:
    """The exact value of ``Retry-After`` in seconds; None if the hit is admitted, or can never be."""
    return None if decision.allowed or decision.never else max(1, decision.wait_seconds)


def _quick(names: Sequence[str], rates: Sequence[Rate], field: str) -> Callable[[Decision], RawFields]:
    """`_draft_11` as bytes, for limits without a partition key. It runs once for every response."""
    listed = (b"ratelimit-policy", field.encode())
    alone = (listed,) if rates else ()
    forms: dict[Rate | None, bytes] = {}
    for name, rate in zip(names, rates, strict=True):
        forms.setdefault(rate, f'"{name}"'.encode() + b";r=%d;t=%d")
    only = next(iter(forms.values())) if len(rates) == 1 else None
    largest, never, second = _LARGEST, NEVER, _SECOND

    def raw_fields(decision: Decision) -> RawFields:
        # by index, since unpacking a named tuple takes longer
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


def _written(known: PreparedPolicies, decision: Decision) -> RawFields:
    """The fields of these policies as bytes."""
    if decision.degraded == FORBIDDEN:
        return ()
    return tuple(
        (name.lower().encode("ascii"), value.encode("ascii"))
        for writer in _writers(known.responses)
        for name, value in writer(known, decision)
    )


def _writers(responses: ResponseOptions) -> Iterable[Serializer]:
    return (_NAMED[each] if isinstance(each, str) else each for each in responses.fields)


def _draft_11(known: Policies, decision: Decision) -> list[tuple[str, str]]:
    if not known.rates or (decision.allowed and decision.rate is None):
        return []
    secret, partition = known.responses.partition_secret, decision.partition
    mark = f";pk=:{b64encode(partition).decode()}:" if secret is not None and partition else ""
    fields = [("RateLimit-Policy", _listed(known.names, known.rates, known.responses, mark))]
    name, seconds = known.name(decision), known.seconds(decision)
    if name is not None and seconds is not None:
        fields.append(("RateLimit", f'"{name}";r={min(decision.remaining, _LARGEST)};t={seconds}{mark}'))
    return fields


def _triple(prefix: str, known: Policies, decision: Decision) -> list[tuple[str, str]]:
    if decision.rate is None:
        return []
    # for a cost that can never fit, the store was not asked for the quota left
    left = None if decision.never else decision.remaining
    named = zip(_TRIPLE, (decision.limit, left, known.seconds(decision)), strict=True)
    return [(f"{prefix}-{part}", str(min(number, _LARGEST))) for part, number in named if number is not None]


_NAMED: Final[dict[str, Serializer]] = {
    "draft-11": _draft_11,
    "draft-06": partial(_triple, "RateLimit"),
    "x-ratelimit": partial(_triple, "X-RateLimit"),
}


def _listed(names: Sequence[str], rates: Sequence[Rate], responses: ResponseOptions, mark: str = "") -> str:
    return ", ".join(_policy(*each, responses.unit) + mark for each in zip(names, rates, strict=True))


def _policy(name: str, rate: Rate, unit: str | None) -> str:
    # The window is optional and in whole seconds, so a rate with another period leaves it out.
    window = "" if rate.period % _SECOND or rate.calendar is not None else f";w={rate.period // _SECOND}"
    unit = rate.unit or unit
    return f'"{name}";q={min(rate.limit, _LARGEST)}{window}' + ("" if unit is None else f';qu="{unit}"')
