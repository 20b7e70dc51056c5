"""A real Chromium, driven over its debugging protocol: it opens pages, runs scripts, presses keys, takes pictures."""

from __future__ import annotations

import json
import subprocess
from base64 import b64decode
from contextlib import contextmanager
from itertools import count
from time import monotonic, sleep

import httpx
from websockets.sync.client import connect

from tests.cli.browser import MISSING, find

PATIENCE = 30  # seconds
KEYS = {"Tab": 9, "Enter": 13, "Escape": 27, " ": 32}
OPTIONS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--remote-debugging-port=0"),
)


class Tab:
    """One tab.

    Attributes:
        complaints: what pages said on the console, and what their security policy blocked.
        addresses: what was fetched.
    """

    def __init__(self, socket):
        self._socket, self._numbers = socket, count(1)
        self.complaints, self.addresses = [], []
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method, **params):
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            message = json.loads(self._socket.recv(PATIENCE))
            if message.get("id") == number:
                assert "error" not in message, message
                return message["result"]
            self._note(message)

    def _note(self, message):
        match message:
            case {"method": "Network.requestWillBeSent", "params": {"request": {"url": url}}}:
                self.addresses.append(url)
            case {"method": "Log.entryAdded", "params": {"entry": entry}}:
                self.complaints.append(entry["text"])
            case {"method": "Runtime.exceptionThrown", "params": params}:
                self.complaints.append(str(params["exceptionDetails"]))

    def open(self, address):
        self.call("Page.navigate", url=address)
        self.wait("document.readyState === 'complete'")

    def run(self, script):
        """The value of an expression."""
        found = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def wait(self, script):
        """Wait until an expression is true; its value."""
        deadline = monotonic() + PATIENCE
        while not (value := self.run(script)):
            assert monotonic() < deadline, f"still not true: {script}\n{self.run('document.body.innerText')}"
            sleep(0.05)  # the page is alive, and says nothing when it changes
        return value

    def press(self, key, times=1):
        for _ in range(times):
            for kind in ("rawKeyDown", "char", "keyUp"):
                text = {"text": "\r" if key == "Enter" else key} if kind == "char" and key in {"Enter", " "} else {}
                if kind != "char" or text:
                    code = KEYS[key]
                    self.call("Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code, **text)

    def write(self, text):
        self.call("Input.insertText", text=text)

    def look(self, width=1280, height=1000, scheme="light"):
        """Be so wide and high, and light or dark."""
        phone = width < 600
        size = {"width": width, "height": height, "deviceScaleFactor": 2 if phone else 1, "mobile": phone}
        self.call("Emulation.setDeviceMetricsOverride", **size)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def picture(self, path):
        """Save a picture of what is seen."""
        path.write_bytes(b64decode(self.call("Page.captureScreenshot", format="png")["data"]))


@contextmanager
def browsing(profile):
    """A tab of a new Chromium.

    Raises:
        AssertionError: there is none on this machine.
    """
    program = find()
    assert program, MISSING
    log = profile / "log"
    with log.open("wb") as said:
        process = subprocess.Popen([program, *OPTIONS, f"--user-data-dir={profile}", "about:blank"], stderr=said)
    try:
        port = _port_of(process, profile / "DevToolsActivePort", log)
        tabs = httpx.get(f"http://127.0.0.1:{port}/json").json()
        address = next(tab["webSocketDebuggerUrl"] for tab in tabs if tab["type"] == "page")
        with connect(address, max_size=None, compression=None, proxy=None) as socket:
            yield Tab(socket)
    finally:
        process.terminate()
        process.wait(PATIENCE)


def _port_of(process, path, log):
    deadline = monotonic() + PATIENCE
    while monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        if path.exists() and (lines := path.read_text().split()):
            return lines[0]
        sleep(0.05)  # another process, which says nothing
    raise TimeoutError(log.read_text())
