"""Uploads count the bytes read, in steps, and refuse bytes that the quota left does not cover."""

from __future__ import annotations

from contextlib import suppress

import pytest
from anyio import CancelScope, lowlevel
from hypothesis import given
from hypothesis import strategies as st

from tests import toy
from traffik import EXEMPTED, HTTPThrottle, ResponseOptions, Throttled, WebSocketThrottle, is_throttled
from traffik.backends.inmemory import InMemoryBackend
from traffik.model.coroutines import run_sync
from traffik.model.decisions import NEVER
from traffik.testing import VirtualClock
from traffik.throttles.uploads import Upload, check_uploads

pytestmark = pytest.mark.anyio


@pytest.fixture
def limit(store):
    return HTTPThrottle("uploads", "1000/min", backend=store)


def request(declared=None, **scope):
    headers = [] if declared is None else [("content-length", str(declared))]
    return toy.Request(headers=headers, **scope)


def used(throttle):
    return 1000 - throttle.sync.stat(toy.Request()).hits_remaining


async def read(upload, *sizes):
    """Upload pieces until one is refused; the number of pieces that the application got."""
    for place, size in enumerate(sizes):
        try:
            await upload.count(size)
        except Throttled:
            return place
    return len(sizes)


class TestAnAnnouncedLength:
    async def test_it_charges_nothing(self, limit):
        await Upload(request(1000), [limit]).announce()
        assert used(limit) == 0

    async def test_one_above_the_remaining_quota_is_refused(self, limit):
        await limit.hit(toy.Request(), 500)
        connection = request(501)
        with pytest.raises(Throttled) as refused:
            await Upload(connection, [limit]).announce()
        assert (is_throttled(connection, limit), used(limit)) == (True, 500)
        assert refused.value.decision == await limit.check(toy.Request(), 501)

    @pytest.mark.parametrize("declared", [1001, 2**31, 2**80, "9" * 5000])
    async def test_one_above_the_limit_is_always_refused(self, limit, declared):
        with pytest.raises(Throttled) as refused:
            await Upload(request(declared), [limit]).announce()
        assert refused.value.decision.retry_after == NEVER

    @pytest.mark.parametrize("declared", [None, 0, "", "-1", "1e9", "²", "5000, 5000"])
    async def test_a_missing_or_malformed_one_is_ignored(self, limit, declared):
        upload = Upload(request(declared), [limit])
        await upload.announce()
        assert (await read(upload, 600, 600), used(limit)) == (1, 600)

    async def test_a_wrong_one_is_not_trusted(self, limit):
        upload = Upload(request(1), [limit], step=1)
        await upload.announce()
        assert await read(upload, *[100] * 20) == 10


class TestTheCount:
    async def test_it_admits_the_limit_and_not_a_byte_more(self, limit):
        assert await read(Upload(request(), [limit]), *[1] * 1001) == 1000

    async def test_it_continues_after_the_previous_upload(self, limit):
        for admitted in (6, 4, 0):
            upload = Upload(request(), [limit])
            assert await read(upload, *[100] * 6) == admitted
            await upload.finish()

    async def test_it_charges_the_first_bytes_at_once_and_then_in_steps(self, limit):
        upload, charged = Upload(request(), [limit], step=30), []
        for _ in range(9):
            await upload.count(10)
            charged.append(used(limit))
        assert charged == [10, 10, 10, 40, 40, 40, 70, 70, 70]

    async def test_its_steps_are_at_most_a_sixteenth_of_the_limit(self, limit):
        upload = Upload(request(), [limit])
        await read(upload, *[10] * 8)
        assert used(limit) == 10 + 70

    async def test_each_upload_exceeds_the_limit_by_at_most_a_step(self, limit):
        uploads = [Upload(request(), [limit], step=50) for _ in range(5)]
        admitted = 0
        for _ in range(100):
            admitted += sum([10 * await read(each, 10) for each in uploads])
        assert 1000 <= admitted < 1000 + 5 * 50

    async def test_the_last_bytes_charge_the_rest(self, limit):
        upload = Upload(request(), [limit])
        await read(upload, 100, 5)
        await upload.count(5, last=True)
        assert used(limit) == 110

    async def test_the_last_announced_bytes_charge_the_rest(self, limit):
        upload = Upload(request(30), [limit])
        await upload.announce()
        await read(upload, 10, 10)
        assert used(limit) == 0
        await upload.count(10)
        assert used(limit) == 30

    async def test_a_body_that_breaks_off_is_charged(self, limit):
        upload = Upload(request(), [limit], step=60)
        await read(upload, 100, 5, 5)
        await upload.finish()
        await upload.finish()
        assert used(limit) == 110

    async def test_all_bytes_read_are_charged_even_above_the_remaining_quota(self, limit):
        upload = Upload(request(), [limit])
        await read(upload, 1, 60)
        await limit.hit(toy.Request(), 980)
        await upload.finish()
        assert used(limit) == 1000

    async def test_bytes_read_before_the_refused_ones_are_charged(self, limit):
        upload = Upload(request(), [limit])
        assert (await read(upload, 900, 50, 500), used(limit)) == (2, 950)

    async def test_bytes_read_of_a_cancelled_request_are_charged(self, store):
        async def who(_):
            await lowlevel.checkpoint()  # as a store on a network does
            return "ada"

        limit = HTTPThrottle("uploads", "1000/min", backend=store, identifier=who)
        upload = Upload(request(), [limit])
        await read(upload, 100, 5)
        with CancelScope() as scope:
            scope.cancel()
            await upload.finish()
        assert (await limit.stat(toy.Request())).hits_remaining == 895

    async def test_an_empty_body_calls_no_store(self, limit, store):
        upload = Upload(request(), [limit])
        await read(upload, 0, 0)
        await upload.finish()
        assert store.keys == 0


PIECES = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 400), st.booleans()), max_size=60)


@given(PIECES, st.integers(1, 200), st.integers(1, 3000), st.lists(st.integers(0, 1500), min_size=4, max_size=4))
def test_the_usage_is_the_number_of_bytes_read_however_uploads_interleave(pieces, step, limit, declared):
    throttle = HTTPThrottle("uploads", f"{limit}/min", backend=InMemoryBackend(clock=VirtualClock()))
    uploads, got = [Upload(request(each), [throttle], step=step, sync=True) for each in declared], 0
    for each in uploads:
        with suppress(Throttled):
            run_sync(each.announce())
    for place, size, last in pieces:
        with suppress(Throttled):
            run_sync(uploads[place].count(size, last=last))
            got += size
    for each in uploads:
        run_sync(each.finish())
    assert limit - throttle.sync.stat(toy.Request()).hits_remaining == min(limit, got)
    assert got <= limit + len(uploads) * (min(step - 1, limit // 16))


class TestARefusal:
    async def test_it_is_raised_again_and_charges_nothing_more(self, limit):
        upload = Upload(request(), [limit])
        assert await read(upload, 900, 200) == 1
        with pytest.raises(Throttled) as again:
            await upload.count(0)
        assert (again.value is upload.refusal, used(limit)) == (True, 900)

    async def test_its_wait_is_that_for_the_whole_body_read(self, limit, clock):
        await read(Upload(request(), [limit]), 500)
        upload = Upload(request(), [limit])
        await read(upload, 400, 200)
        clock.advance(microseconds=upload.refusal.decision.retry_after - 1)
        assert not await limit.check(toy.Request(), 600)
        clock.advance(microseconds=1)
        assert await limit.check(toy.Request(), 600)

    async def test_more_bytes_than_the_limit_have_no_wait(self, limit):
        upload = Upload(request(), [limit])
        await read(upload, *[400] * 3)
        assert "Retry-After" not in dict(upload.refusal.rejection.headers)

    async def test_one_of_several_throttles_ends_the_upload(self, store, limit):
        other = HTTPThrottle("uploads:all", "150/min", backend=store)
        upload = Upload(request(), [limit, other])
        assert (await read(upload, 100, 100), used(limit)) == (1, 200)
        await upload.finish()
        assert used(limit) == 200

    async def test_it_calls_the_handler_which_may_let_the_upload_continue(self, store):
        calls = []
        tried = HTTPThrottle("uploads", "100/min", backend=store, handle_throttled=lambda: calls.append(1))
        assert (await read(Upload(request(), [tried]), *[60] * 9), calls) == (9, [1])

    async def test_it_keeps_the_response_of_the_handler(self, store):
        shut = HTTPThrottle("uploads", "0/min", backend=store, handle_throttled=lambda: "too large")
        upload = Upload(request(), [shut], response=str)
        assert (await read(upload, 1), upload.answer) == (0, "too large")


async def test_exempted_clients_have_no_limit(store):
    throttle = HTTPThrottle("uploads", "10/min", backend=store, identifier=lambda _: EXEMPTED)
    upload = Upload(request(5000), [throttle])
    await upload.announce()
    assert await read(upload, *[1000] * 5) == 5


def test_sync_code_counts_uploads_in_the_same_way(limit):
    upload = Upload(request(), [limit], sync=True)
    for size in (1000, 0):
        run_sync(upload.count(size))
    with pytest.raises(Throttled):
        run_sync(upload.count(1))
    run_sync(upload.finish())
    assert used(limit) == 1000


class TestTheArguments:
    def test_they_are_http_throttles(self, store, limit):
        assert check_uploads(limit, 1) == (limit,)
        socket = WebSocketThrottle("uploads:socket", "5/min", backend=store)
        for wrong in ([], socket, [limit, socket], "uploads"):
            with pytest.raises(TypeError, match="HTTPThrottle"):
                check_uploads(wrong, 1)

    @pytest.mark.parametrize("step", [0, -1, 1.5, True])
    def test_the_step_is_a_number_of_bytes(self, limit, step):
        with pytest.raises((TypeError, ValueError), match=f"step is .*{step}"):
            check_uploads(limit, step)


@pytest.mark.parametrize(("rate", "unit"), [("1000/min", None), ("1 kB/min", None), ("1000/min", "octets")])
def test_the_unit_of_uploads_is_bytes_unless_the_options_say_otherwise(rate, unit, store):
    throttle = HTTPThrottle("uploads", rate, backend=store, responses=ResponseOptions(unit=unit))
    check_uploads(throttle, 1)
    field = throttle.policies(throttle.sync.check(toy.Request())).field
    assert field == f'"uploads";q=1000;w=60;qu="{unit or "content-bytes"}"'


def test_uploads_are_not_counted_in_another_unit(store):
    with pytest.raises(ValueError, match="uploads are counted in bytes, but 'uploads' counts tokens: 5 tokens/min"):
        check_uploads(HTTPThrottle("uploads", "5 tokens/min", backend=store), 1)
