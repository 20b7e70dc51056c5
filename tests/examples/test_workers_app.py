"""The example for one machine works as described: two workers, over real connections."""

from __future__ import annotations

import httpx
import pytest

from tests.servers import serve_by

ADA, BOB = ({"X-API-Key": f"{name}-key"} for name in ("ada", "bob"))
COMMAND = ["uvicorn", "examples.workers_app:app", "--workers", "2", "--port", "{port}", "--log-level", "warning"]


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    with serve_by(COMMAND, TRAFFIK_DIRECTORY=str(tmp_path_factory.mktemp("quota") / "here")) as address:
        yield f"http://{address}"


def test_two_workers_share_one_quota(address):
    # Each on a new connection, so that both workers get some.
    answers = [httpx.get(f"{address}/quotes", headers=ADA) for _ in range(16)]
    assert [answer.status_code for answer in answers] == [200] * 12 + [429] * 4
    assert [answer.headers["RateLimit"].split(";")[1] for answer in answers[:3]] == ["r=11", "r=10", "r=9"]
    assert httpx.get(f"{address}/health").json() == {}


def test_a_search_has_two_limits(address):
    answers = [httpx.get(f"{address}/search", params={"word": "HASTE"}, headers=BOB) for _ in range(6)]
    assert answers[0].json() == ["Less haste, more speed."]
    assert [answer.status_code for answer in answers[:5]] == [200] * 5
