"""The README's FastAPI program sends the refusals that the README describes."""

import pytest
from starlette.testclient import TestClient

from tests.docs.pages import ROOT, blocks


@pytest.fixture
def client():
    """A client of the README's first program that has used its quota."""
    program = next(block.text for block in blocks(ROOT / "README.md") if block.kind == "python")
    space = {"__name__": "readme"}
    exec(program, space)
    with TestClient(space["app"]) as client:
        for _ in range(5):
            assert client.get("/data").status_code == 200
        yield client


def test_a_program_gets_problem_details_and_the_standard_fields(client):
    refused = client.get("/data")
    assert (refused.status_code, refused.headers["content-type"]) == (429, "application/problem+json")
    assert {"retry-after", "ratelimit", "ratelimit-policy"} <= refused.headers.keys()
    assert refused.json()["violated-policies"] == ["api:data"]


def test_a_browser_gets_a_page(client):
    refused = client.get("/data", headers={"Accept": "text/html"})
    assert (refused.status_code, refused.headers["content-type"].partition(";")[0]) == (429, "text/html")


def test_the_refusal_is_in_the_openapi_document(client):
    assert "429" in client.get("/openapi.json").json()["paths"]["/data"]["get"]["responses"]
