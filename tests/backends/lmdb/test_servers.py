"""Servers with several workers and real traffic: together they admit exactly the limit."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPConnection

import pytest

from tests.backends.lmdb.served import LIMIT
from tests.servers import serve_by

UVICORN = ["uvicorn", "tests.backends.lmdb.served:app", "--workers", "2", "--port", "{port}", "--log-level", "warning"]
GUNICORN = [
    "gunicorn",
    "tests.backends.lmdb.served:wsgi",
    "-w",
    "2",
    "-b",
    "127.0.0.1:{port}",
    "--log-level",
    "warning",
]


def answers(address, requests):
    """Send requests, several at a time, each on a new connection; their statuses."""

    def get(_):
        with closing(HTTPConnection(address, timeout=20)) as connection:
            connection.request("GET", "/")
            return connection.getresponse().status

    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(get, range(requests)))


@pytest.mark.parametrize(
    "command", [UVICORN, GUNICORN, [*GUNICORN, "--preload"]], ids=["uvicorn", "gunicorn", "preload"]
)
def test_two_workers_admit_exactly_the_limit(command, directory):
    with serve_by(command, SERVED_FROM=str(directory)) as address:
        found = answers(address, 3 * LIMIT)
    assert (found.count(200), found.count(429)) == (LIMIT, 2 * LIMIT)


def test_workers_with_separate_stores_log_a_warning(tmp_path):
    with (tmp_path / "stderr").open("w+") as stderr:
        with serve_by(UVICORN, stderr) as address:
            answers(address, 10)
        stderr.seek(0)
        lines = [line for line in stderr if "several-workers" in line]
    assert len(lines) == 2
    assert "uvicorn runs 2 workers: a client gets the whole limit in each of them" in lines[0]
    assert "traffik.backends.lmdb.LMDBBackend()" in lines[0]


@pytest.mark.parametrize("command", [[*UVICORN[:2], *UVICORN[4:]], [*UVICORN, "--reload"]], ids=["one", "reload"])
def test_a_single_worker_logs_nothing(command, tmp_path):
    with (tmp_path / "stderr").open("w+") as stderr:
        with serve_by(command, stderr) as address:
            assert answers(address, 1) == [200]
        stderr.seek(0)
        assert "several-workers" not in stderr.read()
