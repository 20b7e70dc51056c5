"""Formats of nginx and Apache, and regular expressions of users."""

from __future__ import annotations

import pytest

from traffik.model.errors import ConfigurationError
from traffik_cli.replay.batches import Wanted
from traffik_cli.replay.formats import Format
from traffik_cli.replay.selectors import Selector
from traffik_cli.replay.templates import pattern_of, template_of

NOW = 1_760_104_536_000_000
WANTED = Wanted((Selector("ip"),), request=True)
HIT = ([NOW], [(b"203.0.113.7", b"GET", b"/a")])

FORMATS = [
    (
        '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent',
        b'203.0.113.7 - ada b [10/Oct/2025:13:55:36 +0000] "GET /a?b HTTP/1.1" 200 5',
    ),
    (
        "'$msec|$http_x_real_ip|$request_method|'\n    '$request_uri|$http_user_agent'",
        b"1760104536.000|203.0.113.7|GET|/a?b=c|curl | 8",
    ),
    (
        '${time_iso8601} ${remote_addr}:${remote_port} $host "$request"',
        b'2025-10-10T13:55:36+00:00 203.0.113.7:4000 shop.example "GET /a HTTP/1.1"',
    ),
    (
        '%h %l %u %t "%r" %>s %b "%{Referer}i" "%{User-Agent}i"',
        b'203.0.113.7 - - [10/Oct/2025:13:55:36 +0000] "GET /a HTTP/1.1" 200 5 "-" "curl"',
    ),
    (
        r'"%v:%p %{c}a [%{%Y-%m-%dT%H:%M:%S%z}t] %m %U %D \"%{X-A}i\" %%"',
        b'shop:443 203.0.113.7 [2025-10-10T13:55:36+0000] GET /a 77 "-" %',
    ),
    (
        "log_format main escape=json '$remote_addr [$time_local] '\n    '\"$request\" $status';",
        b'203.0.113.7 [10/Oct/2025:13:55:36 +0000] "GET /a HTTP/1.1" 200',
    ),
    (
        r'LogFormat "%h\t%{%Y-%m-%d %H:%M:%S}t.%{msec_frac}t\t%r" named',
        b"203.0.113.7\t2025-10-10 13:55:36.000\tGET /a HTTP/1.1",
    ),
    (
        '%({x-forwarded-for}i)s %(l)s %(t)s "%(r)s" %(s)s "%(a)s"',
        b'203.0.113.7 - [10/Oct/2025:13:55:36 +0000] "GET /a HTTP/1.1" 200 "curl"',
    ),
    ("%{X-Forwarded-For}i %t %m %U%q %!200,304s", b"203.0.113.7, 10.0.0.1 [10/Oct/2025:13:55:36 +0000] GET /a?b 200"),
]


@pytest.mark.parametrize(("template", "line"), FORMATS, ids=[each[0] for each in FORMATS])
def test_a_log_is_read_by_its_format(template, line):
    opened = Format("auto", WANTED, template=template).open(line)
    assert opened.reader.read(line).batch == HIT
    assert opened.detected.format == "log-format"


def test_a_line_may_have_more_or_end_early():
    template = '$remote_addr [$time_local] "$request" $status "$http_user_agent" $request_time'
    start = b"203.0.113.7 [10/Oct/2025:13:55:36 +0000] "
    reader = Format("auto", WANTED, template=template).open(start + b'"GET /a HTTP/1.1" 200 "x" 1').reader
    for end in (b'"GET /a HTTP/1.1" 200 "x" 1 more', b'"GET /a HTTP/1.1" 200', b'"GET /a?q="b" HTTP/1.1" 200 "x" 1'):
        assert reader.read(start + end).batch == HIT
    assert reader.read(start + b'"GET /a').batch == ([NOW], [(b"203.0.113.7", None, None)])
    assert reader.read(b"203.0.113.7 [10/Oct").malformed == 1


@pytest.mark.parametrize(
    ("template", "reason"),
    [("combined", "has no variables"), ("$remote_addr$time_local", r"\$remote_addr and \$time_local touch")],
)
def test_an_invalid_format_is_an_error(template, reason):
    with pytest.raises(ConfigurationError, match=reason):
        pattern_of(template_of(template))


def test_the_groups_of_a_pattern_are_fields():
    pattern = r"(?P<when>\d+) <(?P<who>[^>]+)> (?P<verb>\w+) (?P<uri>\S+)"
    line = b"1760104536 <203.0.113.7> GET /a?b"
    assert Format("auto", WANTED, pattern=pattern).open(line).reader.read(line).batch == HIT


@pytest.mark.parametrize(("pattern", "reason"), [("(", "does not compile"), (r"(\d+) x", "no named groups")])
def test_a_pattern_without_groups_is_an_error(pattern, reason):
    with pytest.raises(ConfigurationError, match=reason):
        Format("auto", WANTED, pattern=pattern).open(b"")
