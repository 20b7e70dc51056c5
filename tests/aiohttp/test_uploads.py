"""Uploads are counted while aiohttp's handlers read them, with each method that reads a body."""

import asyncio

import aiohttp
import pytest
from aiohttp import web

from tests import toy
from tests.aiohttp_server import calling
from traffik import HTTPThrottle, Throttled
from traffik_aiohttp import count_uploads

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("backend")]

LIMIT = 400_000
LINE = b"x" * 999 + b"\n"


@pytest.fixture
def limit(uid):
    return HTTPThrottle(uid, f"{LIMIT}/min")


def used(throttle):
    return LIMIT - throttle.sync.stat(toy.Request(peer="127.0.0.1")).hits_remaining


def app_of(handler, *throttles):
    async def answer(request):
        return web.json_response(await handler(request))

    app = web.Application(middlewares=[count_uploads(throttles)], client_max_size=2**30)
    app.router.add_post("/", answer)
    return app


async def post(app, size=0, data=None):
    """Post a body, by default chunked lines; the status and text of the response."""

    async def lines():
        for _ in range(size // len(LINE)):
            yield LINE

    async with calling(app) as session, session.post("/", data=data or lines()) as answer:
        return answer.status, await answer.text()


async def whole(reading):
    return len(await reading)


async def pieces(read):
    total = 0
    while piece := await read():
        total += len(piece)
    return total


async def each(iterator):
    return sum([len(piece) async for piece in iterator])


async def chunks(iterator):
    return sum([len(piece) async for piece, _ in iterator])


async def exactly(content):
    with pytest.raises(asyncio.IncompleteReadError) as ended:
        await content.readexactly(10**9)
    return len(ended.value.partial)


async def at_the_end(content):
    await content.wait_eof()
    return len(content.read_nowait())


READS = {
    "request.read": lambda request: whole(request.read()),
    "request.text": lambda request: whole(request.text()),
    "read": lambda request: whole(request.content.read()),
    "read(n)": lambda request: pieces(lambda: request.content.read(10_000)),
    "readany": lambda request: pieces(request.content.readany),
    "readline": lambda request: pieces(request.content.readline),
    "readuntil": lambda request: pieces(request.content.readuntil),
    "readexactly": lambda request: exactly(request.content),
    "async for": lambda request: each(request.content),
    "iter_any": lambda request: each(request.content.iter_any()),
    "iter_chunked": lambda request: each(request.content.iter_chunked(5_000)),
    "iter_chunks": lambda request: chunks(request.content.iter_chunks()),
}


class TestReading:
    @pytest.mark.parametrize("way", READS)
    async def test_every_method_that_reads_a_body_counts_it(self, way, limit):
        answers = [await post(app_of(READS[way], limit), size) for size in (300_000, 200_000)]
        assert answers[0] == (200, "300000")
        assert answers[1][0] == 429

    async def test_waiting_for_the_end_counts_the_body(self, limit):
        assert await post(app_of(lambda request: at_the_end(request.content), limit), 50_000) == (200, "50000")
        assert used(limit) == 50_000

    async def test_a_form_is_counted_once(self, limit):
        async def handler(request):
            return len((await request.post())["file"].file.read())

        form = aiohttp.FormData({"more": "x"})
        form.add_field("file", bytes(300_000), filename="a")
        assert await post(app_of(handler, limit), data=form) == (200, "300000")
        assert 300_000 < used(limit) < 301_000

    async def test_an_outer_middleware_that_reads_the_body_does_not_hide_it(self, limit):
        @web.middleware
        async def look(request, handler):
            assert request.content.total_bytes >= 0
            return await handler(request)

        app = app_of(READS["read"], limit)
        app.middlewares.insert(0, look)
        assert (await post(app, 500_000))[0] == 429


class TestAHandler:
    @pytest.mark.parametrize("error", [None, web.HTTPBadRequest])
    async def test_it_cannot_replace_a_refusal(self, error, limit):
        async def handler(request):
            try:
                await request.read()
            except Throttled:
                if error:
                    raise error from None

        status, text = await post(app_of(handler, limit), 500_000)
        assert (status, '"Quota Exceeded"' in text) == (429, True)

    async def test_an_error_after_a_refusal_is_raised(self, limit):
        async def handler(request):
            try:
                await request.read()
            except Throttled:
                raise KeyError from None

        assert (await post(app_of(handler, limit), 500_000))[0] == 500

    async def test_a_refusal_cuts_a_response_that_has_begun(self, limit):
        async def handler(request):
            response = web.StreamResponse()
            await response.prepare(request)
            await request.read()

        with pytest.raises(aiohttp.ClientError):
            await post(app_of(handler, limit), 500_000)

    async def test_handle_throttled_of_the_throttle_is_called(self, uid):
        def refuse():
            raise web.HTTPRequestEntityTooLarge(max_size=1, actual_size=2)

        limit = HTTPThrottle(uid, "0/min", handle_throttled=refuse)
        assert (await post(app_of(READS["read"], limit), 1_000))[0] == 413


def test_an_invalid_argument_is_an_error(limit):
    with pytest.raises(ValueError, match="step"):
        count_uploads(limit, step=0)
