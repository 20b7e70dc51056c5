"""Serve a contestant's FastAPI application by uvicorn: ``python serve.py KEY`` prints the port; "bare" has no limit."""

from __future__ import annotations

import socket
import sys

import uvicorn
from contestants import CONTESTANTS
from frameworks import bare_fastapi

key = sys.argv[1]
app = (
    bare_fastapi()
    if key == "bare"
    else next(each for each in CONTESTANTS if each.key == key).apps["FastAPI"](10**7, None)
)
# With its protocol given, since asyncio switches Nagle's delays off only for TCP.
with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
    listener.bind(("127.0.0.1", 0))
    listener.listen(64)
    print(listener.getsockname()[1], flush=True)  # connections wait in the backlog until it serves
    uvicorn.Server(uvicorn.Config(app, access_log=False, log_level="warning")).run([listener])
