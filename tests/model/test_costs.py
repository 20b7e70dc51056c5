"""A cost is an integer in its range. Everything else is an error before anything is stored."""

from __future__ import annotations

from enum import IntEnum

import pytest

from traffik.model.costs import MAX_COST, check_cost


class Price(IntEnum):
    UPLOAD = 5


class Int64:
    """An integer as those of NumPy, which are no `int`."""

    def __index__(self):
        return 5


@pytest.mark.parametrize("cost", [0, 1, MAX_COST, Price.UPLOAD])
def test_an_integer_is_a_cost(cost):
    assert (check_cost(cost), type(check_cost(cost))) == (cost, int)


def test_an_integer_of_another_library_is_a_cost():
    assert (check_cost(Int64()), type(check_cost(Int64()))) == (5, int)


@pytest.mark.parametrize(
    ("cost", "error", "words"),
    [
        (-1, ValueError, "from 0 to 2147483647, not -1"),
        (2**31, ValueError, "from 0 to 2147483647, not 2147483648"),
        (True, TypeError, r"not True \(bool\)"),
        (1.0, TypeError, r"not 1\.0 \(float\): round it up before the hit"),
        (float("nan"), TypeError, r"not nan \(float\)"),
        (None, TypeError, r"not None \(NoneType\)$"),
        ("1", TypeError, r"not '1' \(str\)$"),
    ],
)
def test_another_cost_is_an_error_that_shows_it(cost, error, words):
    with pytest.raises(error, match=words):
        check_cost(cost)
