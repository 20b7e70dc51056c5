"""A refusal as it is on the wire."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

from rich import box
from rich.console import RenderableType
from rich.panel import Panel
from rich.text import Text

KEY = "eve-key"
REQUEST = f"GET /quotes HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {KEY}\r\nConnection: close\r\n\r\n"


def curl(address: str) -> str:
    """The command that sends the same request."""
    return f'curl -i -H "X-API-Key: {KEY}" {address}/quotes'


def first_refusal(address: str) -> str:
    """Send requests until one is refused; its response, as it came."""
    while True:
        response = exchange(address)
        if response.startswith("HTTP/1.1 429"):
            return response


def exchange(address: str) -> str:
    """The response to one request on a new connection."""
    where = urlsplit(address)
    with socket.create_connection((where.hostname, where.port)) as connection:
        connection.sendall(REQUEST.encode())
        with connection.makefile("rb") as stream:
            return stream.read().decode()


def shown(response: str, address: str) -> RenderableType:
    """The response below the command."""
    head, _, body = response.replace("\r\n", "\n").partition("\n\n")
    text = Text.assemble((f"$ {curl(address)}\n", "dim"), (head, "bold"), "\n\n", body)
    return Panel(text, title="the raw 429", box=box.ROUNDED, expand=False)
