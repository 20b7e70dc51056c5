"""Other spellings of paths, and checks that no spelling reaches a resource without its limits.

A service has resources: routes, files and WebSockets. Each has throttles with every kind of rule that can match it.
They refuse every request, but their handlers let it pass, so that a response shows the resource that it reached (in the
header ``x-reached``, or in the body of a file) and the throttles that applied (``x-limits``).
"""

from __future__ import annotations

import os
import random
import re
import socket
from collections.abc import Collection, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple
from unicodedata import normalize
from urllib.parse import quote, quote_from_bytes

from traffik import HTTPThrottle, Rule, WebSocketThrottle
from traffik.adapters import Memory
from traffik.throttles import Throttle

COUNT = int(os.environ.get("TRAFFIK_SPELLINGS", "250"))
"""How many requests a service gets: a few seconds. Set the variable to a million for an hour."""

SEED = int(os.environ.get("TRAFFIK_SPELLINGS_SEED", "12"))

PIECES = [
    *("/", "//", "/./", "/../", "/x/../", "/x//../", ".", "..", "./", "../", "../../", "%2e", "%2E%2e/", "%2f", "%2F"),
    *("..%2f", ".%2f", "x%2f..%2f", "%2f..%2f..%2f", "%252f", "%252e%252e%252f", "%5c", "\\", "..%5c", "%255c"),
    *("%0a", "%0A%0a", "%0d", "%0d%0a", "%00", "%09", "%20", "%7f", "%c2%85", "%e2%80%a8", "%c2%a0", "%e2%80%8b"),
    *(";", ";x=1", "%3b", "%3f", "%23", "?", "#", "*", "+", "~", "$", "%24", "%", "%%", "%zz", "%u002f", "&", "=", ":"),
    *("%c0%af", "%c0%ae%c0%ae/", "%e0%80%af", "%ff", "%fe%ff", "%ed%a0%80", "%ef%bc%8f", "%ef%bc%8e", "%e2%88%95"),
    *("static", "/static", "/../static", "/../static/../static", "%2f..%2fstatic", "/static/..", "/link/..", "http:"),
]


class Resource(NamedTuple):
    """A route, a file or a WebSocket: its name, one of its paths, and the rules that match it."""

    name: str
    example: str
    path: str
    expression: str
    route: str | None
    websocket: bool = False

    def ways(self) -> dict[str, dict[str, Any]]:
        """The rules that match it, by kind."""
        ways: dict[str, dict[str, Any]] = {"path": {"path": self.path}}
        ways["expression"] = {"path": re.compile(self.expression)}
        return ways if self.route is None else {**ways, "route": {"route": self.route}}

    def shares(self, way: str, other: Resource) -> bool:
        """Whether both have the same rule, as files in one folder do."""
        return self.ways()[way] == other.ways().get(way)

    def throttles(self) -> Iterator[Throttle[Any]]:
        """Two throttles for each kind of rule: one that matches the resource, and one that bypasses it."""
        kind: type[Throttle[Any]] = WebSocketThrottle if self.websocket else HTTPThrottle
        for way, named in self.ways().items():
            options = {"handle_throttled": lambda *_: None}
            yield kind(f"{way} of {self.name}", "0/min", rules=Rule(**named), **options)
            yield kind(f"bypass by {way} of {self.name}", "0/min", rules=Rule(**named, bypass=True), **options)


class Answer(NamedTuple):
    """The resource that a request reached, and the uids of the throttles that applied."""

    target: bytes
    reached: str | None
    limits: frozenset[str]

    def escaped(self, resources: Iterable[Resource]) -> list[str]:
        """The uids of the throttles that should have applied but did not."""
        found = next((resource for resource in resources if resource.name == self.reached), None)
        if found is None:
            return []
        wanted = [f"{way} of {found.name}" for way in found.ways()]
        for other in resources:
            if other.name != found.name and other.websocket == found.websocket:
                wanted += [f"bypass by {way} of {other.name}" for way in other.ways() if not other.shares(way, found)]
        return [uid for uid in wanted if uid not in self.limits]


def spellings(paths: list[str], count: int = COUNT) -> Iterator[bytes]:
    """`count` spellings: the paths, the paths with each byte at each relevant place, and random changes."""
    return islice(_endless(paths, random.Random(SEED)), count)


def _endless(paths: list[str], rng: random.Random) -> Iterator[bytes]:
    yield from (prefix + quote(path).encode() for path in paths for prefix in (b"", b"/proxy"))
    for piece in ("%0a", "%2f", "/", "/.", "/..", "%00", "\\", "%20", ";", "%5c"):
        yield from (f"{quote(path)}{piece}".encode() for path in paths)
    while True:
        text = quote(rng.choice(paths))
        for _ in range(rng.choice((1, 1, 1, 2, 2, 3, 5))):
            text = rng.choice(_CHANGES)(text, rng, paths)
        target = re.sub(rb"[\x00-\x20\x7f]", lambda found: b"%%%02x" % ord(found[0]), text.encode("latin-1", "replace"))
        yield target if target.startswith(b"/") or rng.random() < 0.3 else b"/" + target


def _insert(text: str, rng: random.Random, _: list[str]) -> str:
    at = _place(text, rng)
    return text[:at] + rng.choice(PIECES) + text[at:]


def _insert_byte(text: str, rng: random.Random, _: list[str]) -> str:
    at = _place(text, rng)
    return text[:at] + f"%{rng.randrange(256):02x}" + text[at:]


def _encode(text: str, rng: random.Random, _: list[str]) -> str:
    at = rng.randrange(len(text) or 1)
    return text[:at] + "".join(f"%{ord(char):02X}" for char in text[at : at + rng.choice((1, 2, 99))]) + text[at + 99 :]


def _encode_one(text: str, rng: random.Random, _: list[str]) -> str:
    at = rng.randrange(len(text) or 1)
    return text[:at] + "".join(f"%{ord(char):02x}" for char in text[at : at + 1]) + text[at + 1 :]


def _swap_case(text: str, rng: random.Random, _: list[str]) -> str:
    at = rng.randrange(len(text) or 1)
    return text[:at] + text[at : at + 1].swapcase() + text[at + 1 :]


def _widen(text: str, rng: random.Random, _: list[str]) -> str:
    """Replace a character by its fullwidth form, or decompose characters."""
    at = rng.randrange(len(text) or 1)
    if "%C3%A9" in text and rng.random() < 0.5:
        return text.replace("%C3%A9", quote(normalize("NFD", "é")))
    if at < len(text) and "!" <= text[at] <= "~" and text[at] != "%":
        return text[:at] + quote_from_bytes(chr(ord(text[at]) + 0xFEE0).encode()) + text[at + 1 :]
    return text


def _drop(text: str, rng: random.Random, _: list[str]) -> str:
    at = rng.randrange(len(text) or 1)
    return text[:at] + text[at + 1 :]


def _climb(text: str, rng: random.Random, paths: list[str]) -> str:
    """Append parent segments and another path."""
    other = quote(rng.choice(paths))
    up = rng.choice(("/..", "/%2e%2e", "%2f..", "/.%2E", "%2F%2e%2e", "\\.."))
    return text + up * rng.randint(1, 4) + rng.choice((other, other.rpartition("/")[2], "/static" + other))


def _double(text: str, rng: random.Random, _: list[str]) -> str:
    at = _place(text, rng)
    slash = text.find("/", at)
    return text if slash < 0 else text[:slash] + rng.choice(("//", "%2f", "/%2f", "/./", "///")) + text[slash + 1 :]


def _prefix(text: str, rng: random.Random, _: list[str]) -> str:
    return rng.choice(("/proxy", "/proxy", "/proxy/", "/proxy/proxy", "/prox%79", "//proxy", "/x/../proxy")) + text


def _place(text: str, rng: random.Random) -> int:
    """A random place, often the end or beside a slash."""
    slashes = [at for at, char in enumerate(text) if char == "/"]
    return rng.choice((len(text), len(text), rng.randint(0, len(text)), *(at + 1 for at in slashes), *slashes))


_CHANGES = (
    *(_insert, _insert, _insert, _insert_byte, _encode, _encode_one, _swap_case),
    *(_widen, _drop, _climb, _double, _prefix),
)


class Client:
    """Sends requests with exactly the given bytes as target, on one connection while the server keeps it open."""

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self._address = host, int(port)
        self._socket: socket.socket | None = None

    def get(self, target: bytes) -> Answer:
        """Send a GET; the answer, which reached nothing if the server rejects it."""
        status, fields, body = self._exchange(target, b"")
        reached = fields.get("x-reached") or (body.decode("latin-1") if status == 200 else None)
        return Answer(target, reached, _split(fields))

    def open(self, target: bytes) -> Answer:
        """Open a WebSocket; the answer."""
        fields = b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        status, answered, _ = self._exchange(target, fields)
        self.close()
        return Answer(target, answered.get("x-reached") if status == 101 else None, _split(answered))

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _exchange(self, target: bytes, fields: bytes) -> tuple[int, dict[str, str], bytes]:
        connection = b"Upgrade" if fields else b"keep-alive"
        request = b"GET %b HTTP/1.1\r\nHost: example.org\r\nConnection: %b\r\n%b\r\n" % (target, connection, fields)
        for _ in range(2):  # the server may have closed the connection
            if self._socket is None:
                self._socket = socket.create_connection(self._address, timeout=10)
                self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                self._socket.sendall(request)
                return self._read(self._socket)
            except (ConnectionError, EOFError):
                self.close()
        return 0, {}, b""

    def _read(self, source: socket.socket) -> tuple[int, dict[str, str], bytes]:
        data = b""
        while b"\r\n\r\n" not in data:
            data += _more(source)
        head, _, body = data.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        status = int(first.split()[1])
        while status != 101 and len(body) < int(fields.get("content-length", 0)):
            body += _more(source)
        if fields.get("connection", "").lower() == "close" or "content-length" not in fields:
            self.close()
        return status, fields, body


def _more(source: socket.socket) -> bytes:
    data = source.recv(65_536)
    if not data:
        raise EOFError
    return data


def _split(fields: dict[str, str]) -> frozenset[str]:
    return frozenset(filter(None, fields.get("x-limits", "").split(",")))


def limits_in(memory: Memory) -> str:
    """The header ``x-limits``: the uids of the throttles that applied to a connection."""
    return ",".join(throttle.uid for throttle, decision in memory.items() if not decision.allowed)


def make_files(where: Path) -> Path:
    """Make a folder ``static`` with three files. Each contains the name of its resource."""
    folder = where / "static"
    (folder / "sub" / "deep" / "empty").mkdir(parents=True)
    (folder / "link").symlink_to(folder / "sub" / "deep" / "empty")
    for name, path in (("zip", "big.zip"), ("sub", "sub/f.txt"), ("deep", "sub/deep/g.txt")):
        (folder / path).write_text(name)
    return folder


def check(address: str, resources: list[Resource], opened: Collection[str] = ()) -> None:
    """Send spellings of the resources, also as WebSockets if some are `opened`.

    Assert that each resource is reached, and never without its limits.
    """
    client, escaped, reached = Client(address), [], set()
    for target in spellings([resource.example for resource in resources]):
        for answer in [client.get(target), *([client.open(target)] if opened else [])]:
            reached.add(answer.reached)
            escaped += [(target, answer.reached, uid) for uid in answer.escaped(resources)]
    client.close()
    unreached = {resource.name for resource in resources} - reached
    assert not escaped, f"{len(escaped)} escapes, such as {escaped[:9]}"
    assert not unreached, f"no request reached {unreached}"
