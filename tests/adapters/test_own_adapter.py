"""The adapter in the guide passes the contract tests of adapters, and the guide shows the code that is tested."""

from pathlib import Path

from tests.adapters import bare
from tests.adapters.bare import Request
from tests.docs.pages import ROOT, blocks
from traffik.testing import AdapterContract

GUIDE = ROOT / "docs" / "own-adapter.md"


class TestBare(AdapterContract):
    adapter = bare.adapter

    def http_connection(self, peer="203.0.113.7", app=None, method="GET", path="/", headers=()):
        fields = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers}
        environ = {"REMOTE_ADDR": peer or "", "REQUEST_METHOD": method, "PATH_INFO": path, **fields}
        return Request({**environ, "bare.app": app})

    def another_object_for(self, connection):
        return Request(connection.environ)


def shown():
    return [block.text for block in blocks(GUIDE) if block.kind == "python"]


def test_the_guide_shows_this_adapter():
    assert Path(bare.__file__).read_text() == shown()[0]


def test_the_guide_shows_these_tests():
    _, contract = shown()[-1].split("class TestBare")
    assert contract.replace("= adapter", "= bare.adapter") in Path(__file__).read_text()


def test_the_adapter_is_small():
    assert len([line for line in Path(bare.__file__).read_text().splitlines() if line]) < 60
