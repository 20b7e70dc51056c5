"""The Django example works as described, over real connections, under WSGI and ASGI, with the quota in a real Redis."""

import os
import subprocess
import sys
import time
from contextlib import contextmanager

import httpx
import pytest

from tests.backends.redis.servers import free_port, server

ADA, BOB = {"X-API-Key": "ada-key"}, {"X-API-Key": "bob-key"}
BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
SERVERS = {
    "asgi": "uvicorn --port {} --lifespan off --log-level error examples.django.asgi:application",
    "wsgi": "waitress --listen 127.0.0.1:{} examples.django.wsgi:application",
}


@contextmanager
def served(kind, environ):
    port = free_port()
    process = subprocess.Popen([sys.executable, "-m", *SERVERS[kind].format(port).split()], env=environ)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10) as client:
            for _ in range(100):
                try:
                    client.get("/")
                    break
                except httpx.ConnectError:
                    assert process.poll() is None, "the server could not start"
                    time.sleep(0.1)
            yield client
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture(scope="module")
def environ():
    with server() as redis:
        yield {**os.environ, "REDIS_URL": redis.url, "PYTHONWARNINGS": "error"}


@pytest.fixture(scope="module", params=SERVERS)
def client(request, environ):
    with served(request.param, environ) as client:
        yield client


@pytest.fixture
def manage(environ):
    """Run a command of the project. Returns its output, and the errors of the checks."""

    def run(*command, status=0):
        program = [sys.executable, "-m", "examples.django.manage", *command]
        done = subprocess.run(program, env=environ, capture_output=True, text=True, check=False)
        assert done.returncode == status, done.stderr
        return done.stdout + done.stderr

    return run


@pytest.fixture(autouse=True)
def quota_is_whole(request, environ):
    if "client" in request.fixturenames:
        import redis

        with redis.Redis.from_url(environ["REDIS_URL"]) as connection:
            connection.flushall()


def test_everything_is_limited(client):
    answers = [client.get("/") for _ in range(25)]
    assert (answers[0].text, answers[0].headers["RateLimit-Policy"]) == ("hello", '"everything";q=20;w=1')
    assert answers[-1].json()["detail"].startswith("Too many requests.")


def test_a_namespace_is_limited_too(client):
    assert [client.post("/accounts/login").status_code for _ in range(4)] == [401, 401, 401, 429]


def test_the_form_of_a_login_is_not_an_attempt(client):
    assert [client.get("/accounts/login").status_code for _ in range(5)] == [200] * 5


def test_a_browser_gets_the_page_of_the_project(client):
    answers = [client.post("/accounts/login", headers=BROWSER) for _ in range(4)]
    assert (answers[-1].status_code, "<h1>Slow down, please</h1>" in answers[-1].text) == (429, True)
    assert 0 < int(answers[-1].headers["Retry-After"]) <= 60


def test_the_decorator_limits(client):
    answers = [client.get("/search?word=haste") for _ in range(9)]
    assert answers[0].json() == {"found": ["Less haste, more speed."]}
    assert 429 in {answer.status_code for answer in answers}


def test_words_are_charged_by_number(client):
    answer = client.get("/quotes/0")
    assert (answer.text, '"words";r=98;' in answer.headers["RateLimit"]) == ("Festina lente.", True)


def test_reports_are_expensive_for_each_customer(client):
    assert [client.post("/reports", headers=ADA).status_code for _ in range(3)] == [200, 200, 429]
    assert [client.get("/reports", headers=who).json() for who in (ADA, BOB)] == [{"left": 0}, {"left": 10}]
    assert client.get("/reports").status_code == 403


def test_the_checks_find_nothing(manage):
    assert "no issues" in manage("check")
    assert "traffik." not in manage("check", "--deploy")


def test_the_commands_read_the_quota_of_the_servers(client, manage):
    client.post("/reports", headers=ADA)
    assert manage("traffik_stat", "reports", "ada") == "reports ada: 5 of 10/hour left\n"
    manage("traffik_reset", "reports", "ada")
    assert manage("traffik_stat", "reports", "ada") == "reports ada: 10 of 10/hour left\n"
