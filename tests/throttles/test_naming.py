"""Uids from dotted names: unique for each definition, and the same for a reloaded module."""

from __future__ import annotations

import importlib
import sys
from itertools import count

import pytest

from traffik.throttles.decorators import guards_for

_numbers = count()

TWICE = """
from traffik.throttles.decorators import guards_for

def handler(request): ...
first = guards_for(handler, ["1/min"], {})[0].uid

def handler(request): ...
second = guards_for(handler, ["1/min"], {})[0].uid
"""


@pytest.fixture
def load(tmp_path, monkeypatch):
    """Imports a module with this text, under a name that no other test uses."""
    monkeypatch.syspath_prepend(tmp_path)
    name = f"naming_{next(_numbers)}"

    def load(text):
        (tmp_path / f"{name}.py").write_text(text)
        return importlib.import_module(name)

    yield load
    sys.modules.pop(name, None)


def make():
    def endpoint(request): ...

    return guards_for(endpoint, ["1/min"], {})[0].uid


def test_two_functions_of_a_factory_have_two_uids():
    one, two = make(), make()
    assert one != two
    assert two.startswith(f"{__name__}.make.<locals>.endpoint#")


def test_two_functions_with_one_name_have_two_uids(load):
    module = load(TWICE)
    assert (module.first, module.second) == (f"{module.__name__}.handler", f"{module.__name__}.handler#2")


def test_a_module_that_is_loaded_again_keeps_its_uids(load):
    module = load(TWICE)
    before = module.first, module.second
    importlib.reload(module)
    assert (module.first, module.second) == before


def test_a_decorator_of_another_module_keeps_the_uids_too(load):
    module = load(
        "import tests.throttles.test_naming as other\ndef f(): ...\nuid = other.uid_through_another_module(f)"
    )
    before = module.uid
    importlib.reload(module)
    assert module.uid == before


def uid_through_another_module(function):
    return guards_for(function, ["1/min"], {})[0].uid


def test_functions_that_another_decorator_replaces_have_two_uids(load):
    one = load(
        "from tests.throttles.test_naming import guards_for, replaced\n"
        "uid = guards_for(replaced(print), ['1/min'], {})[0].uid"
    )
    before = one.uid
    assert guards_for(replaced(print), ["1/min"], {})[0].uid != before
    importlib.reload(one)
    assert one.uid == before


def replaced(function):
    def inner(request):
        return function(request)

    inner.__module__ = "a.library"
    return inner


def test_a_function_defined_for_each_request_shares_a_quota_in_the_end():
    uids = [make() for _ in range(150)]
    assert len(set(uids)) <= 100
    assert uids[-1] == uids[-2] == f"{__name__}.make.<locals>.endpoint"


def test_a_long_name_keeps_its_end_and_its_number():
    def make_long():
        def endpoint(): ...

        endpoint.__qualname__ = "L" * 200
        return guards_for(endpoint, ["1/min"], {})[0].uid

    assert [make_long(), make_long()] == ["L" * 128, "L" * 126 + "#2"]
