"""Limits in bytes, in every framework that counts uploads, over real connections."""

import pytest

from tests import toy
from tests.adapters.conftest import FRAMEWORKS
from tests.adapters.services import Service
from tests.adapters.uploads import uploading, wait_until
from traffik import HTTPThrottle

LIMIT = 1_000_000
STEP = LIMIT // 16
HUGE = 20_000_000
"""More than what fits between a client and a server that does not read."""

COUNTING = [name for name, each in FRAMEWORKS.items() if each.uploads]
STREAMING = [name for name in COUNTING if FRAMEWORKS[name].streams]


class Uploads:
    """A service with an upload limit, and a client of it."""

    def __init__(self, client, service):
        self.client, self.service = client, service
        self.address = f"{client.base_url.host}:{client.base_url.port}"

    def begin(self, declared=None, path="/upload"):
        return uploading(self.address, declared, path)

    def post(self, size, declared=None, path="/upload"):
        """Upload; the response, and the number of bytes sent before it came."""
        with self.begin(declared, path) as upload:
            upload.send(size)
            return upload.end(), upload.sent

    @property
    def used(self):
        """The bytes charged to the client so far."""
        return LIMIT - self.service.uploads[0].sync.stat(toy.Request(peer="127.0.0.1")).hits_remaining


@pytest.fixture(params=COUNTING)
def framework(request):
    return FRAMEWORKS[request.param]()


@pytest.fixture
def uploads(serve, store, uid):
    service = Service(store, uploads=[HTTPThrottle(uid, f"{LIMIT}/min", backend=store)])
    return Uploads(serve(service), service)


def test_a_body_costs_its_bytes_with_or_without_a_length(uploads):
    assert [uploads.post(1_234, declared)[0].status for declared in (1_234, None)] == [200, 200]
    assert (uploads.used, uploads.service.received) == (2_468, [1_234, 1_234])


def test_a_second_upload_on_a_connection_has_the_quota_left(uploads, uid):
    answers = [uploads.client.post("/upload", content=bytes(100_000)) for _ in range(11)]
    assert [answer.status_code for answer in answers] == [200] * 10 + [429]
    assert [answer.headers["RateLimit"].split(";")[1] for answer in answers[1::8]] == ["r=800000", "r=0"]
    assert {answer.headers["RateLimit-Policy"] for answer in answers} == {f'"{uid}";q={LIMIT};w=60;qu="content-bytes"'}
    assert answers[-1].json()["detail"].startswith("Too many bytes. Retry in ")


def test_a_request_without_a_body_costs_nothing(uploads, store):
    assert (uploads.client.post("/upload").status_code, store.keys) == (200, 0)


def test_a_body_that_is_not_read_costs_nothing(framework, uploads):
    answer, _ = uploads.post(30_000, path="/ignore")
    # Django itself reads it under ASGI.
    assert (answer.status, uploads.used) == (200, 30_000 if framework.reads_all else 0)


def test_a_declared_length_above_the_limit_is_always_refused_before_anything_is_read(framework, uploads):
    answer, sent = uploads.post(HUGE, HUGE)
    assert (answer.status, answer.getheader("Retry-After")) == (429, None)
    assert (uploads.used, uploads.service.received, sent < HUGE) == (0, [], framework.streams)


def test_a_declared_length_above_what_is_left_is_refused_with_a_wait(uploads):
    uploads.post(600_000)
    answer, _ = uploads.post(500_000, 500_000)
    assert (answer.status, int(answer.getheader("Retry-After")) > 0) == (429, True)
    assert (uploads.used, uploads.service.received) == (600_000, [600_000])


def test_chunked_uploads_together_exceed_the_limit_by_a_step_at_most(framework, uploads):
    statuses = [uploads.post(size)[0].status for size in (600_000, 600_000, 1_200_000)]
    assert statuses == [200, 429, 429]
    assert sum(uploads.service.received) <= LIMIT + STEP


class TestDuringTheBody:
    """Refusals and disconnects during a body, on servers that call the application before the body has ended."""

    @pytest.fixture(params=STREAMING)
    def framework(self, request):
        return FRAMEWORKS[request.param]()

    def test_a_refusal_stops_the_client_and_ends_the_connection(self, uploads):
        answer, sent = uploads.post(HUGE)
        assert (answer.status, answer.will_close, sent < HUGE) == (429, True, True)
        assert answer.getheader("Content-Type") == "application/problem+json"
        assert sum(uploads.service.received) <= LIMIT

    def test_a_second_upload_may_use_the_quota_that_the_first_needs(self, uploads):
        with uploads.begin(900_000) as first, uploads.begin() as second:
            first.send(300_000)
            wait_until(lambda: uploads.used >= 300_000 - STEP)
            second.send(690_000)
            assert second.end().status == 200
            first.send(600_000)
            assert first.answer().status == 429
        assert LIMIT - STEP <= uploads.used <= LIMIT

    def test_a_client_that_goes_away_has_used_what_was_read(self, uploads):
        with uploads.begin(900_000) as upload:
            upload.send(300_000)
            wait_until(lambda: uploads.used > 300_000 - STEP)
        wait_until(lambda: uploads.used == 300_000)
