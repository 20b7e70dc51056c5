"""Units of quota, and amounts written with a multiplier: ``64 MiB``, ``20k tokens``, ``500 emails``.

A unit is None for requests, ``"content-bytes"`` for bytes, or another word. It never changes a decision: costs are
integers in the unit. Pure; `traffik.model.rates` adds the place of a mistake to the errors.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from traffik.model.descriptions import describe
from traffik.model.errors import RateError

__all__ = [
    "BYTES",
    "CONCURRENT",
    "REQUESTS",
    "check_unit",
    "meaning_of_suffix",
    "meaning_of_word",
    "noun_of",
    "read_amount",
    "write_amount",
]

REQUESTS: Final = "requests"
BYTES: Final = "content-bytes"
CONCURRENT: Final = "concurrent-requests"

_COUNTS: Final = {"k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_SIZES: Final = {
    "B": 1,
    **{f"{letter}B": size for letter, size in _COUNTS.items()},
    **{f"{letter}iB": 1024**power for power, letter in enumerate("KMGT", 1)},
}
_SPELLED: Final[Mapping[str, int]] = {
    **{name.lower(): size for name, size in _SIZES.items()},
    **{f"{name[:-1].lower()}byte": size for name, size in _SIZES.items()},
    **dict(zip(("kilobyte", "megabyte", "gigabyte", "terabyte"), _COUNTS.values(), strict=True)),
    **{f"{name}bibyte": 1024**power for power, name in enumerate(("ki", "me", "gi", "te"), 1)},
}
"""Sizes by their names in lower case and in the singular."""

_PLAIN: Final = frozenset({"request", "req", "hit", "call", "time", "unit"})
_RESERVED: Final = frozenset({"per", "burst", "tz", "unlimited", "thousand", "million", "billion", "trillion"})
_WORD: Final = re.compile(r"[a-z][a-z0-9_-]{1,31}")
_BITS: Final = re.compile(r"[KMGT]?b|(?i:([kmgt]i?|kilo|mega|giga|tera)?(bits?|bps))")

_MOST_DECIMALS: Final = 40
"""A number with more of them times a power of 1024 up to 1024**4 is never whole."""


def meaning_of_suffix(text: str) -> tuple[int, str | None]:
    """The factor and the unit that letters directly after a number mean: ``k`` in ``20k``, ``MiB`` in ``64MiB``.

    Raises:
        ValueError: they mean neither. The message says how to write it.
    """
    if text in _COUNTS or text == "K":
        return _COUNTS[text.replace("K", "k")], None
    if text.upper() in _COUNTS:
        raise ValueError(f"{text!r} is not a multiplier: for {_named(text)} write {text.upper()}")
    size = _size(text)
    if size is None:
        raise ValueError(
            f"{text!r} is not a multiplier; there are k, M, G, T (thousands), B, kB, MB, GB, TB (bytes) and "
            f"KiB, MiB, GiB, TiB (1024s of bytes), and a word follows after a space, as in 20k tokens"
        )
    return size, BYTES


def meaning_of_word(word: str) -> tuple[int, str | None]:
    """The factor and the unit that a word after an amount means: ``MiB`` in ``64 MiB``, ``tokens`` in ``20k tokens``.

    Raises:
        ValueError: it is not a unit. The message says how to write it.
    """
    size = _size(word)
    if size is not None:
        return size, BYTES
    lower = word.lower()
    if len(word) == 1 and word.upper() in {"K", *_COUNTS}:
        raise ValueError(
            f"{word!r} alone is not a unit: write 20{word} for a number of requests, and 20 {word}B for bytes"
        )
    if lower in _RESERVED or not _WORD.fullmatch(lower):
        raise ValueError(
            f"{word[:40]!r} is not a unit: write one word of 2 to 32 letters, digits, - and _, as in 20k tokens, and "
            f"multipliers as k, M, G or T"
        )
    return 1, None if lower in _PLAIN or lower.removesuffix("s") in _PLAIN else lower


def read_amount(digits: str, decimals: str, factor: int, most: int) -> int:
    """The whole number that ``digits.decimals`` times `factor` is.

    Raises:
        ValueError: it is not a whole number, or above `most`.
    """
    digits, decimals = digits.replace(",", "").lstrip("0"), decimals.rstrip("0")
    # The length is compared first: int() of a megabyte of digits is slow, and Python refuses it.
    if len(digits) > len(str(most)):
        raise ValueError(f"too large (at most {most})")
    whole, rest = 0, 1
    if len(decimals) <= _MOST_DECIMALS:
        whole, rest = divmod(int(f"{digits}{decimals}" or 0) * factor, 10 ** len(decimals))
    if rest:
        raise ValueError("not a whole number: a limit counts whole units, so write 3/2s for 1.5 per second")
    if whole > most:
        raise ValueError(f"too large (at most {most})")
    return whole


def check_unit(unit: object) -> str | None:
    """`unit` as it is sent in header fields; None for requests.

    Raises:
        RateError: it is not a unit.
    """
    if unit is None:
        return None
    try:
        factor, found = meaning_of_word(unit) if isinstance(unit, str) else (0, None)
    except ValueError as error:
        raise RateError(str(error)) from None
    if factor != 1:
        raise RateError(f'a unit is a word such as "tokens" or "bytes", or None for requests, not {describe(unit)}')
    return found


def write_amount(amount: int, unit: str | None, *, alone: bool = True) -> str:
    """An amount as text, exactly, and as short as it can be: ``"64 MiB"``, ``"20k tokens"``, ``"1000"`` (requests).

    Args:
        amount: the units.
        unit: what is counted.
        alone: whether to name a unit that is a word; bytes are always named.
    """
    if unit is None:
        return str(amount)
    names = _SIZES if unit == BYTES else {"": 1, **_COUNTS}
    texts = [text for name, size in names.items() if (text := _scaled(amount, size, name, " " * (unit == BYTES)))]
    shortest = min(texts, key=len)
    return f"{shortest} {unit}" if alone and unit != BYTES else shortest


def noun_of(unit: str | None) -> str:
    """What a person reads: ``requests``, ``bytes``, or the word itself."""
    return REQUESTS if unit is None else "bytes" if unit == BYTES else unit.replace("-", " ")


def _size(name: str) -> int | None:
    """The bytes that a name of a size means; None if it is none.

    Raises:
        ValueError: it means bits.
    """
    if _BITS.fullmatch(name):
        raise ValueError(f"{name!r} may mean bits, and limits count bytes: write B, kB, MB, KiB or MiB")
    lower = name.lower()
    return 1 if lower == BYTES else _SPELLED.get(lower.removesuffix("s") if lower.endswith("bytes") else lower)


def _scaled(amount: int, size: int, name: str, space: str) -> str | None:
    """An amount in units of `size`, with at most three decimals; None if it is less than one or not exact."""
    whole, rest = divmod(amount, size)
    thousandths, inexact = divmod(rest * 1000, size)
    if inexact or (whole == 0 and size > 1):
        return None
    decimals = f".{thousandths:03}".rstrip("0") if thousandths else ""
    return f"{whole}{decimals}{space}{name}"


def _named(letter: str) -> str:
    return {"m": "millions", "g": "billions", "t": "trillions"}[letter]
