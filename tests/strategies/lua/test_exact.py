"""The arithmetic of the twins against Python's integers, and the reading of stored parts."""

from __future__ import annotations

import re

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.strategies.lua.shims import runtime
from tests.strategies.lua.twins import KERNELS, source

EXACT = 2**53


@pytest.fixture(scope="module")
def lua():
    """The functions of exact.lua, by name."""
    names = ["div", "div_up", "share", "unpacked"]
    functions = runtime().execute(f"{source('exact')}\nreturn {', '.join(names)}".encode())
    return dict(zip(names, functions, strict=True))


@given(st.integers(0, EXACT - 1), st.integers(1, EXACT - 1))
def test_divisions_round_down_or_up(lua, a, b):
    assert lua["div"](a, b) == a // b
    if a + b <= EXACT:
        assert lua["div_up"](a, b) == -(-a // b)


@given(st.data())
def test_a_share_is_exact_however_large_the_product(lua, data):
    whole = data.draw(st.integers(1, 2**52 - 1))
    part, amount = data.draw(st.integers(0, whole)), data.draw(st.integers(0, EXACT - 1))
    assert lua["share"](part, amount, whole) == part * amount // whole


@pytest.mark.parametrize("numbers", [(1, 0, 0), (1, EXACT - 1, 3), (1, 2, 3, 4), (1.0, 2, 3), (-1, 2, 3)])
def test_a_part_is_three_or_four_whole_numbers(lua, numbers):
    assert lua["unpacked"](b"".join(map(msgpack.packb, numbers)))[: len(numbers)] == numbers


@pytest.mark.parametrize(
    "values",
    [
        (),
        (1, 2),
        (0, 2, 3),
        (1, -2, 3),
        (-EXACT, 2, 3),
        (-1.5, 2, 3),
        (1, 2.5, 3),
        (1, EXACT, 3),
        (1, 2, float("nan")),
        (1, 2, "3"),
        ([1, 2, 3],),
    ],
)
def test_anything_else_is_none(lua, values):
    assert lua["unpacked"](b"".join(map(msgpack.packb, values))) is None


@pytest.mark.parametrize("part", [None, 7, b"\xcf\x00", b"\xc1", b"\x93\x01"])
def test_a_part_that_cannot_be_unpacked_is_none(lua, part):
    assert lua["unpacked"](part) is None


@pytest.mark.parametrize("name", ["exact", *KERNELS, "plans", "settling"])
def test_only_exact_operations_are_used(name):
    code = re.sub(r"--.*", "", source(name))
    assert re.findall(r"\^|math\.(?!max|min|abs)\w+|tostring|tonumber", code) == []
