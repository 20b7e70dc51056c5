"""Functions that were written at one place count as the same."""

from __future__ import annotations

from functools import partial

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


class Method:
    def __init__(self, value):
        self.value = value

    def __eq__(self, other):
        return self.value == other.value

    __hash__ = None

    def cost(self):
        return self.value


def test_methods_and_partial_functions_are_the_same_with_equal_objects_and_arguments():
    assert Written(Method(1).cost) == Written(Method(1).cost) != Written(Method(2).cost)
    assert Written(partial(of_value, 1)) == Written(partial(of_value, 1)) != Written(partial(of_value, 2))
    assert Written(partial(max, key=len)) != Written(partial(max, key=abs))
    assert Written(len) != len


def test_defaults_belong_to_a_function():
    def cost(units, more):
        return lambda one=(units,), *, two=more: (one, two)

    assert Written(cost(1, 2)) == Written(cost(1, 2))
    assert Written(cost(1, 2)) != Written(cost(3, 2))
    assert Written(cost(1, 2)) != Written(cost(1, 3))


def test_values_of_different_types_or_lengths_differ():
    assert Written(of_value(1)) != Written(of_value(True))
    assert Written(of_value((1, 2))) != Written(of_value((1,)))
    assert Written(of_value((1, 2))) == Written(of_value((1, 2)))


def test_objects_compare_by_their_repr_if_they_only_have_an_identity():
    def named(name):
        return type("Object", (), {"__repr__": lambda _: name})

    kind = named("a")
    assert Written(of_value(kind())) == Written(of_value(kind()))
    assert Written(of_value(object())) != Written(of_value(object()))


def test_a_recursive_function_is_compared_once():
    def make(step):
        def function(number):
            return function(number - step) if number else 0

        return Written(function)

    assert make(1) == make(1) != make(2)
