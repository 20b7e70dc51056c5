"""Finding the store of a throttle."""

from __future__ import annotations

import gc

import pytest

from tests import toy
from traffik import BackendNotFoundError
from traffik.backends import binding
from traffik.backends.inmemory import InMemoryBackend

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def _no_other_store():
    gc.collect()


def test_the_only_store_is_used():
    store = InMemoryBackend()
    assert binding.resolve(None) is store


def test_the_only_open_store_comes_before_others():
    store, other = InMemoryBackend(), InMemoryBackend()
    with store:
        assert binding.resolve(toy.App()) is store
    assert other.keys == 0


async def test_the_store_of_an_application_comes_first():
    app, store, other = toy.App(), InMemoryBackend(), InMemoryBackend()
    async with other, store.lifespan(app):
        assert binding.resolve(app) is store


async def test_each_application_has_its_own_store():
    one, two = toy.App(), toy.App()
    ones, twos = InMemoryBackend(), InMemoryBackend()
    async with ones.lifespan(one), twos.lifespan(two):
        assert [binding.resolve(one), binding.resolve(two)] == [ones, twos]


async def test_a_mounted_application_uses_the_store_of_the_outer_one():
    inner = toy.App()
    middle = toy.App(inner)
    outer = toy.App(middle)
    store, other = InMemoryBackend(), InMemoryBackend()
    async with store.lifespan(outer), other:
        assert [binding.resolve(app) for app in (outer, middle, inner)] == [store] * 3


async def test_a_mounted_application_may_have_its_own():
    inner = toy.App()
    outer, own, store = toy.App(inner), InMemoryBackend(), InMemoryBackend()
    async with own.lifespan(inner), store.lifespan(outer):
        assert binding.resolve(inner) is own


async def test_a_store_is_unbound_when_its_application_ends():
    app, store, other = toy.App(), InMemoryBackend(), InMemoryBackend()
    async with other:
        async with store.lifespan(app):
            assert binding.resolve(app) is store
        assert binding.resolve(app) is other


def test_several_candidates_are_an_error_that_lists_them():
    stores = [InMemoryBackend(namespace="one"), InMemoryBackend(namespace="two")]
    with pytest.raises(BackendNotFoundError) as caught:
        binding.resolve(None)
    assert all(repr(store) in str(caught.value) for store in stores)
    assert "none of them is open" in str(caught.value)
    assert "open one (with backend:)" in str(caught.value)


def test_the_error_about_several_open_stores_does_not_list_closed_ones():
    closed, one, two = (InMemoryBackend(namespace=name) for name in ("closed", "one", "two"))
    with one, two, pytest.raises(BackendNotFoundError) as caught:
        binding.resolve(None)
    assert repr(closed) not in str(caught.value)
    assert repr(one) in str(caught.value)
    assert "several stores are open" in str(caught.value)


def test_no_store_at_all_is_an_error_that_says_what_to_do():
    with pytest.raises(BackendNotFoundError, match=r"no store .*: give a store, such as backend = InMemoryBackend\(\)"):
        binding.resolve(None)


def test_a_store_that_fails_to_open_is_not_open():
    class Broken(InMemoryBackend):
        def open_sync(self):
            raise OSError("no")

    store, other = Broken(), InMemoryBackend()
    with other:
        with pytest.raises(OSError, match="no"):
            store.__enter__()
        assert binding.resolve(None) is other


def test_a_store_may_be_opened_several_times():
    store, other = InMemoryBackend(), InMemoryBackend()
    with store:
        with store:
            assert binding.open_one() is store
        assert binding.open_one() is store
    assert binding.open_one() is None
    assert other.keys == 0


@pytest.mark.parametrize("namespace", [None, 5, b"traffik"])
def test_a_namespace_is_text(namespace):
    with pytest.raises(TypeError, match="a namespace is text"):
        InMemoryBackend(namespace=namespace)
