"""Real proxies for tests, in front of a server on loopback: a simple one, and nginx if it is installed.

The proxies of a chain have the addresses 127.0.0.11 and so on, from the client on. Linux has all of 127.0.0.0/8.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from tests.servers import PATIENCE, wait_until_it_listens


def address(place: int) -> str:
    """The address of the proxy at that place of a chain, as seen by the next server."""
    return f"127.0.0.{11 + place}"


class ThreadedProxy(ThreadingHTTPServer):
    """A proxy that appends the address of its peer to X-Forwarded-For and to Forwarded."""

    daemon_threads = True

    def __init__(self, place: int, upstream: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.place, self.upstream = place, upstream


class _Handler(BaseHTTPRequestHandler):
    server: ThreadedProxy

    def do_GET(self) -> None:
        upstream = HTTPConnection(
            self.server.upstream, timeout=PATIENCE, source_address=(address(self.server.place), 0)
        )
        upstream.putrequest("GET", self.path)
        peer = self.client_address[0]
        for name, value in [
            *self.headers.items(),
            ("X-Forwarded-For", peer),
            ("Forwarded", f'for="{peer}:1";host="a,b"'),
        ]:
            if name.lower() not in {"host", "connection"}:
                upstream.putheader(name, value)
        upstream.endheaders()
        answer = upstream.getresponse()
        body = answer.read()
        upstream.close()
        self.send_response(answer.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        pass


@contextmanager
def threaded(upstream: str, length: int) -> Iterator[str]:
    """Run a chain of proxies in threads; yields the address of the first."""
    with ExitStack() as stack:
        for place in reversed(range(length)):
            server = stack.enter_context(ThreadedProxy(place, upstream))
            thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
            thread.start()
            stack.callback(thread.join, PATIENCE)
            stack.callback(server.shutdown)
            upstream = "{}:{}".format(*server.server_address)
        yield upstream


NGINX = shutil.which("nginx") or shutil.which("/usr/sbin/nginx")  # Debian installs it outside the PATH of users

_CONFIGURATION = """
daemon off; master_process off; pid {home}/pid; error_log stderr warn;
events {{ worker_connections 64; }}
http {{
  access_log off;
  client_body_temp_path {home}; proxy_temp_path {home}; fastcgi_temp_path {home}; uwsgi_temp_path {home};
  scgi_temp_path {home};
  {servers}
}}
"""
_SERVER = """
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://{upstream}; proxy_bind {bind};
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; proxy_set_header X-Real-IP $remote_addr;
    }}
  }}
"""


@contextmanager
def nginx(upstream: str, length: int, home: Path) -> Iterator[str]:
    """Run a chain of nginx servers, which append to X-Forwarded-For and set X-Real-IP. `home` is an empty directory."""
    servers = []
    for place in reversed(range(length)):
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        servers.append(_SERVER.format(port=port, upstream=upstream, bind=address(place)))
        upstream = f"127.0.0.1:{port}"
    file = home / "nginx.conf"
    file.write_text(_CONFIGURATION.format(home=home, servers="".join(servers)))
    with subprocess.Popen([NGINX, "-e", "stderr", "-p", home, "-c", file]) as process:
        try:
            wait_until_it_listens(process, int(upstream.rpartition(":")[2]))
            yield upstream
        finally:
            process.terminate()
            process.wait(PATIENCE)
