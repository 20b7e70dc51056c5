"""Output works in any encoding and in narrow terminals. A missing folder is an error before the work begins."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys

import pytest

from tests.cli.test_shapes import LOGS

LOG = LOGS / "clf.log"


@pytest.mark.parametrize("call", [(), ("--json",), ("--target-refused", "5%")], ids=["tables", "json", "suggestion"])
def test_any_encoding_works(call, shell, tmp_path):
    (tmp_path / "log").write_bytes(LOG.read_bytes().replace(b"/a", "/ä".encode()))
    said = shell("replay", "log", "--rate", "5/min", *call, LC_ALL="C", PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert (said.code, said.err) == (0, "")
    assert said.out.isascii()
    if call == ("--json",):
        assert json.loads(said.out)["logs"][0]["detected"]["path"]["value"] == "/ä"


def narrow(*arguments):
    """Runs the command in a terminal of 80 columns; its output."""
    ours, theirs = pty.openpty()
    environ = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "COLUMNS": "80", "TERM": "dumb"}
    command = [sys.executable, "-m", "traffik_cli", *map(str, arguments)]
    with subprocess.Popen(command, env=environ, stdout=theirs, stderr=subprocess.PIPE) as process:
        os.close(theirs)
        shown = b""
        while part := read(ours):
            shown += part
        process.communicate(timeout=30)
    os.close(ours)
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode()).splitlines()


def read(terminal):
    try:
        return os.read(terminal, 65_536)
    except OSError:  # Linux raises this when the other end is closed
        return b""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no POSIX terminals")
@pytest.mark.parametrize("compared", [(), ("--compare", "4/min", "--compare", "3/min", "--compare", "2/min")])
def test_an_address_is_never_wrapped(compared, tmp_path):
    rows = "".join(f"{1_760_104_536 + n},2001:db8:1234:567{n % 3}::1\n" for n in range(30))
    (tmp_path / "log.csv").write_text("time,ip\n" + rows)
    shown = narrow("replay", tmp_path / "log.csv", "--rate", "5/min", *compared)
    tables = [line for line in shown if line[:1] in "│┃┏└"]
    assert max(map(len, tables)) <= 80
    found = re.findall(r"2001:[^ ]*", "\n".join(tables))
    assert {f"2001:db8:1234:567{n}::/64" for n in range(3)} == {*found}


@pytest.mark.parametrize("option", ["--plot", "--html"])
def test_a_missing_folder_is_an_error_before_the_work_begins(option, traffik, tmp_path):
    said = traffik("replay", tmp_path / "nowhere.log", "--rate", "5/min", option, tmp_path / "missing" / "a.png")
    assert said.code == 2
    assert f"there is no folder {tmp_path / 'missing'}" in said.err
