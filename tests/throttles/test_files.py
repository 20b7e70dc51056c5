"""A file of limits. Each mistake is an error with its line and how to fix it."""

from __future__ import annotations

import json
import re

import pytest

from tests.toy import Request
from traffik import FixedWindow, HTTPThrottle, Rate, TokenBucket, WebSocketThrottle
from traffik.model.errors import ConfigurationError
from traffik.rules.rule import Rule
from traffik.strategies.named import STRATEGIES
from traffik.throttles import entries
from traffik.throttles.entries import entries_of
from traffik.throttles.files import SCHEMA, load_throttles, read_limits

WHOLE = """\
# What the service admits.
[[throttle]]
uid = "file:data"
rate = ["10/s", "1000/hour"]
strategy = "token-bucket"
burst = 20
debt = 5
cost = 2
key = "header:X-Client"

[[throttle.rule]]
path = "/api/**"
methods = ["GET", "post"]

[[throttle.rule]]
path = "/api/health"
bypass = true

[[throttle]]
uid = "file:chat"
rate = "5/s"
strategy = "fixed-window"
websocket = true
"""

MISTAKES = [
    ("[[throttle]\n", 1, "this is not TOML"),
    ("", 1, "there is no throttle in it: begin one with [[throttle]]"),
    ("title = 'x'\n", 1, "'title' is not known here"),
    ("\n[throttle]\nuid = 'a'\n", 2, "begin each with [[throttle]]"),
    ("[[throttle]]\nrate = '1/s'\n", 1, 'this throttle has no uid: add uid = "api"'),
    ("[[throttle]]\nuid = 'a'\n", 1, 'this throttle has no rate: add rate = "100/min"'),
    ("[[throttle]]\nuid = 'a'\nrate = '1/x'\n", 3, "'x' is not a unit of time"),
    ("[[throttle]]\nuid = 'a'\nrate = 5\n", 3, "a rate is text"),
    ("[[throttle]]\nuid = ''\nrate = '1/s'\n", 2, "a uid has 1 to 128 characters"),
    ("[[throttle]]\nuid = 'a'\nrate = '1/s'\nlimit = 5\n", 4, "'limit' is not known here; there are uid, rate"),
    (
        "[[throttle]]\nuid = 'a'\nrate = '1/s'\nstrategy = 'magic'\n",
        4,
        "there is no strategy 'magic'; the",
    ),
    ("[[throttle]]\nuid = 'a'\nrate = '1/s'\nstrategy = 5\n", 4, "this is text"),
    ("[[throttle]]\nuid = 'a'\nrate = '1/s'\nburst = 5\n", 4, "sliding-window has no burst"),
    ("[[throttle]]\nuid = 'a'\nrate = '1/s'\nstrategy='gcra'\nburst = 0\n", 5, "burst is from 1"),
    ("[[throttle]]\nuid = 'a'\nrate = '1/s'\nstrategy='gcra'\nburst = 1\ndebt = 1\n", 6, "gcra has no debt"),
    ("[[throttle]]\nuid = 'a'\nrate = '99999/s'\nstrategy='sliding-log'\n", 3, "its limits are at most"),
    ("[[throttle]]\nuid = 'a'\nrate = '1/s'\ncost = 0\n", 4, "bypass = true"),
    ("[[throttle]]\nuid = 'a'\nrate = '1/s'\ncost = 1.5\n", 4, "a cost is an integer, not 1.5"),
    ("[[throttle]]\nuid = 'a'\nrate = '1/s'\nkey = 'user'\n", 4, 'a key is "ip" or "header:NAME", not \'user\''),
    ("[[throttle]]\nuid = 'a'\nrate = '1/s'\nwebsocket = 1\n", 4, "this is true or false, not 1"),
    ("[[throttle]]\nuid = 'a'\nrate = '1/s'\nrule = 5\n", 4, "begin each with [[throttle.rule]]"),
    ("[[throttle]]\nuid='a'\nrate='1/s'\n\n[[throttle.rule]]\nbypass=true\n", 5, "a rule is about a path"),
    ("[[throttle]]\nuid='a'\nrate='1/s'\n[[throttle.rule]]\npath='api'\n", 5, "does not begin with a slash"),
    ("[[throttle]]\nuid='a'\nrate='1/s'\n[[throttle.rule]]\npath=5\n", 5, "this is text"),
    ("[[throttle]]\nuid='a'\nrate='1/s'\n[[throttle.rule]]\nmethods='GET'\n", 5, "methods are a list"),
    ("[[throttle]]\nuid='a'\nrate='1/s'\n[[throttle.rule]]\nmethods=['G T']\n", 5, "no method"),
    ("[[throttle]]\nuid='a'\nrate='1/s'\n[[throttle.rule]]\npaths=['/a']\n", 5, "'paths' is not known here"),
    ("[[throttle]]\nuid='a'\nrate='1/s'\n[[throttle]]\nrate='2/s'\nuid='a'\n", 6, "that of the throttle in line 1"),
    ("throttle = [{uid='a', rate='1/x'}]\n", 1, "'x' is not a unit of time"),
    ("[[throttle]]\nuid='a'\nrate='9/s burst 20'\n", 3, "has no burst, so it cannot count '9/s burst 20'"),
    ("[[throttle]]\nuid='a'\nrate='64 M/min'\n", 3, "'M' alone is not a unit"),
    ("[[throttle]]\nuid='a'\n[throttle.tiers]\nfree='1/x'\n", 4, "'x' is not a unit of time"),
    ("[[throttle]]\nuid='a'\n[throttle.tiers]\nfree='9/s burst 20'\n", 4, "has no burst"),
    ("[[throttle]]\nuid='a'\nrate='1/s'\n[throttle.tiers]\nfree='1/s'\n", 4, "has a rate and tiers: leave one"),
    ("[[throttle]]\nuid='a'\n[throttle.tiers]\n", 3, "tiers are a table of rates"),
    ("[[throttle]]\nuid='a'\ntiers='free'\n", 3, "tiers are a table of rates"),
    ("[[throttle]]\nuid='a'\n[throttle.tiers]\na='1/s'\nb='1/month'\n", 3, "usage does not follow from '1/s'"),
    ("[[throttle]]\nuid='a'\ndefault_tier='b'\n[throttle.tiers]\na='1/s'\n", 3, "one of the tiers ('a'), not 'b'"),
    ("[[throttle]]\nuid='a'\nrate='1/s'\ndefault_tier='b'\n", 4, "(none: add [throttle.tiers]), not 'b'"),
]

TIERS = """\
[[throttle]]
uid = "tiers:api"
default_tier = "free"

[throttle.tiers]
free = "64 MiB/hour"
pro = ["1 GiB/hour", "9 MiB/s"]
max = "unlimited"
"""


@pytest.fixture
def path(tmp_path):
    found = tmp_path / "limits.toml"
    found.write_text(WHOLE)
    return found


def test_the_whole_file_is_read():
    data, chat = entries_of("limits.toml", WHOLE)
    assert (data.uid, data.cost, data.key, data.websocket, data.line) == ("file:data", 2, "header:X-Client", False, 2)
    assert (Rate(10, 1_000_000), Rate(1000, 3_600_000_000)) == data.rates
    assert (TokenBucket(20, debt=5), FixedWindow()) == (data.strategy, chat.strategy)
    assert (Rule("/api/**", methods=["GET", "POST"]), Rule("/api/health", bypass=True)) == data.rules
    assert (chat.websocket, chat.rules, chat.line) == (True, (), 19)


@pytest.mark.parametrize(("text", "line", "why"), MISTAKES, ids=[each[2] for each in MISTAKES])
def test_a_mistake_is_an_error_with_its_line(text, line, why):
    with pytest.raises(ConfigurationError) as raised:
        entries_of("limits.toml", text)
    assert str(raised.value).startswith(f"limits.toml:{line}: ")
    assert why in str(raised.value)


@pytest.mark.parametrize("content", [None, b"\xff"])
def test_a_file_that_cannot_be_read_is_an_error(content, tmp_path):
    if content is not None:
        (tmp_path / "limits.toml").write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"cannot read .*limits\.toml: "):
        read_limits(tmp_path / "limits.toml")


def test_an_application_gets_throttles_by_uid(path, store):
    throttles = load_throttles(path, backend=store)
    assert {"file:data": HTTPThrottle, "file:chat": WebSocketThrottle} == {
        uid: type(each) for uid, each in throttles.items()
    }
    assert all(each.backend is store for each in throttles.values())


def test_its_throttles_have_the_rates_of_the_file(path, store):
    throttle = load_throttles(path, backend=store)["file:data"]
    asked = Request(path="/api/a")
    assert [throttle.sync.check(asked, cost).allowed for cost in (10, 26)] == [True, False]


@pytest.mark.parametrize(
    ("lines", "key"),
    [(["ada"], "header:x-client:ada"), ([], "203.0.113.7"), ([""], "203.0.113.7"), (["a", "b"], "203.0.113.7")],
)
def test_the_key_is_the_header_or_else_the_address(lines, key, path, store):
    throttle = load_throttles(path, backend=store)["file:data"]
    asked = Request(path="/api/a", headers=[("x-client", line) for line in lines])
    assert f"traffik:file:data:{{{key}}}" == throttle.sync.stat(asked).key


@pytest.mark.parametrize(("asked", "left"), [("/api/a", 23), ("/api/health", 25), ("/other", 25)])
def test_its_throttles_have_the_rules_of_the_file(asked, left, path, store):
    throttle = load_throttles(path, backend=store)["file:data"]
    throttle.sync.hit(Request(path=asked))
    assert left == throttle.sync.stat(Request(path="/api/a")).hits_remaining


def test_a_throttle_with_tiers_counts_by_what_the_function_says(path, store):
    path.write_text(TIERS)
    with pytest.raises(ConfigurationError, match=r"limits\.toml:1: 'tiers:api' has tiers, and nothing says which one"):
        load_throttles(path)
    throttle = load_throttles(path, backend=store, tier=lambda asked: asked.scope["path"][1:] or None)["tiers:api"]
    rates = [str(throttle.sync.stat(Request(path=path)).rate) for path in ("/", "/pro")]
    assert rates == ["64 MiB/hour", "9 MiB/s"]


def test_the_schema_has_the_same_names():
    schema = json.loads(SCHEMA.read_text())
    known = [
        re.search(r"there are (.*)", str(refused(extra)))[1].split(", ")
        for extra in ("x = 1", "[[throttle.rule]]\nx=1")
    ]
    tables = [schema["$defs"][name]["properties"] for name in ("throttle", "rule")]
    assert schema["$defs"]["throttle"]["oneOf"] == [{"required": ["rate"]}, {"required": ["tiers"]}]
    assert [sorted(each) for each in known] == [sorted(each) for each in tables]
    assert tables[0]["strategy"]["enum"] == list(STRATEGIES)


def refused(extra):
    with pytest.raises(ConfigurationError) as raised:
        entries_of("limits.toml", f"[[throttle]]\nuid = 'a'\nrate = '1/s'\n{extra}\n")
    return raised.value


def test_a_second_throttle_with_the_same_uid_on_the_same_line_is_an_error():
    text = 'throttle = [{uid = "a", rate = "1/s"}, {uid = "a", rate = "2/s"}]'
    with pytest.raises(ConfigurationError, match=r"^limits:1: the uid 'a' is that of the throttle in line 1"):
        entries_of("limits", text)


def test_a_number_in_a_file_is_an_integer():
    with pytest.raises(TypeError, match="this is an integer, not '5'"):
        entries._number("5")
