"""Finding out whether a process is one of several workers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from traffik import notices
from traffik.backends.inmemory import InMemoryBackend
from traffik.notices import workers

MODULE = "/lib/python3.11/site-packages/uvicorn/__main__.py"


@pytest.fixture(autouse=True)
def _as_new():
    notices.clear_notices()
    yield
    notices.clear_notices()


def told(command, **environ):
    argv = command.split()
    return workers.workers_told(workers._server(argv), argv, environ)


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("/venv/bin/uvicorn app:app --workers 4", 4),
        ("uvicorn app:app --workers=4", 4),
        (f"{MODULE} app:app --workers 4", 4),
        ("uvicorn app:app --workers 4 --reload", 1),
        ("uvicorn app:app --workers", None),
        ("uvicorn app:app", None),
        ("gunicorn -w 3 app:app", 3),
        ("gunicorn -w3 app:app", 3),
        ("gunicorn app:app --workers 3", 3),
        ("gunicorn -w 3 -w 1 app:app", 1),
        ("hypercorn app:app -w 2", 2),
        ("granian app:app --workers 2", 2),
        ("pytest -w 2", None),
        ("main.py --workers 4", None),
        ("", None),
    ],
)
def test_the_command_line_has_the_number_of_workers(command, expected):
    assert told(command) == expected


@pytest.mark.parametrize(
    ("command", "environ", "expected"),
    [
        ("uvicorn app:app", {"WEB_CONCURRENCY": "3"}, 3),
        ("uvicorn app:app --workers 2", {"WEB_CONCURRENCY": "3"}, 2),
        ("uvicorn app:app --reload", {"WEB_CONCURRENCY": "3"}, 1),
        ("gunicorn app:app", {"WEB_CONCURRENCY": "3"}, 3),
        ("gunicorn app:app", {"GUNICORN_CMD_ARGS": "--workers 5 --bind :80"}, 5),
        ("gunicorn app:app -w 2", {"GUNICORN_CMD_ARGS": "-w 5"}, 2),
        ("granian app:app", {"GRANIAN_WORKERS": "4"}, 4),
        ("hypercorn app:app", {"WEB_CONCURRENCY": "3"}, None),
        ("uvicorn app:app", {"WEB_CONCURRENCY": "many"}, None),
        ("main.py", {"WEB_CONCURRENCY": "3"}, None),
    ],
)
def test_the_environment_has_the_number_of_workers(command, environ, expected):
    assert told(command, **environ) == expected


@pytest.fixture
def proc(tmp_path):
    """A folder like Linux's ``/proc``, with the processes 2 to 5, all children of 1."""

    def add(pid, command, started):
        place = tmp_path / str(pid)
        place.mkdir()
        (place / "cmdline").write_text(command)
        (place / "stat").write_text(f"{pid} (a (b) c) S 1 {'0 ' * 17}{started} 0")

    commands = ["gunicorn app", "gunicorn app", "spawn_main(7, 9)", "spawn_main(7, 13)"]
    for pid, command in enumerate(commands, 2):
        add(pid, command, 5000 + pid)
    (tmp_path / "1/task/1").mkdir(parents=True)
    (tmp_path / "1/task/1/children").write_text("2 3 4 5 77 ")
    add(6, "gunicorn app", 9000)
    return tmp_path


@pytest.mark.parametrize(("pid", "expected"), [(2, 1), (5, 1), (6, 0), (78, 0)])
def test_peers_have_the_same_parent_command_line_and_start(proc, pid, expected):
    assert workers.peers_on_linux(pid, 1, proc) == expected


def test_without_proc_there_are_no_peers(tmp_path):
    assert workers.peers_on_linux(2, 1, tmp_path) == 0


def warnings_of(monkeypatch, caplog, argv, peers=0):
    monkeypatch.setattr(sys, "argv", argv)
    monkeypatch.setattr(workers, "peers_on_linux", lambda *_: peers)
    for _ in range(2):
        with InMemoryBackend():
            pass
    return [record.message for record in caplog.records]


def test_a_store_opened_in_one_of_several_workers_warns_once_and_names_shared_stores(monkeypatch, caplog):
    monkeypatch.delenv("WEB_CONCURRENCY", raising=False)
    (message,) = warnings_of(monkeypatch, caplog, ["uvicorn", "app:app", "--workers", "4"])
    assert "uvicorn runs 4 workers: a client gets the whole limit in each of them" in message
    assert "traffik.backends.lmdb.LMDBBackend()" in message
    assert "traffik.backends.redis.RedisBackend(url)" in message


def test_without_an_option_the_other_workers_are_counted(monkeypatch, caplog):
    monkeypatch.delenv("WEB_CONCURRENCY", raising=False)
    (message,) = warnings_of(monkeypatch, caplog, ["gunicorn", "app:app"], peers=2)
    assert "its server runs at least 3 workers" in message


@pytest.mark.parametrize("argv", [["pytest", "-n", "2"], ["main.py"], ["uvicorn", "app:app", "--workers", "1"], []])
def test_a_single_process_gets_no_warning(monkeypatch, caplog, argv):
    monkeypatch.delenv("WEB_CONCURRENCY", raising=False)
    assert warnings_of(monkeypatch, caplog, argv, peers=3) == []


SPAWNED = """
import multiprocessing, sys
from traffik.notices import workers

def work(barrier):
    sys.modules["uvicorn"] = object()
    barrier.wait(10)
    seen = workers.several_workers()
    barrier.wait(10)
    sys.stdout.write(f"{seen}\\n")

if __name__ == "__main__":
    context = multiprocessing.get_context("spawn")
    count = int(sys.argv[1])
    barrier = context.Barrier(count)
    children = [context.Process(target=work, args=(barrier,)) for _ in range(count)]
    for child in children: child.start()
    for child in children: child.join()
"""


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="only Linux tells who the others are")
@pytest.mark.parametrize(("count", "expected"), [(1, "None"), (2, "its server runs at least 2 workers")])
def test_spawned_processes_with_a_server_find_each_other(tmp_path, count, expected):
    program = tmp_path / "serve.py"
    program.write_text(SPAWNED)
    done = subprocess.run([sys.executable, program, str(count)], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [expected] * count
