"""Functions that were written at one place count as the same."""

from __future__ import annotations

from traffik.model.functions import Written


class Incomparable:
    def __eq__(self, other):
        raise ValueError("an array has no single answer")

    __hash__ = None


def of_value(value):
    return lambda: value


def test_functions_with_equal_contents_are_the_same():
    assert Written(of_value(1)) == Written(of_value(1))
    assert Written(of_value(1)) != Written(of_value(2))


def test_contents_that_cannot_be_compared_differ():
    assert Written(of_value(Incomparable())) != Written(of_value(Incomparable()))


def test_a_variable_may_not_be_assigned_yet():
    def make(assign):
        def function():
            return later

        if assign:
            later = 1
        return Written(function)

    assert make(assign=False) == make(assign=False)
    assert make(assign=False) != make(assign=True)
