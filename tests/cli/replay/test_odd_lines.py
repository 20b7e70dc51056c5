"""Lines as templates, loggers and exports write them: client, time, method and path are found in each."""

from __future__ import annotations

import json

import pytest

from tests.cli.replay.test_lines import COMMON, NOW, record
from traffik_cli.replay.batches import Wanted
from traffik_cli.replay.formats import Format
from traffik_cli.replay.selectors import Selector
from traffik_cli.replay.times import Calendar

UVICORN = '203.0.113.#:40000 - "GET /a HTTP/1.1" 200'
INNER = json.dumps({"CIp": "203.0.113.#", "CsMethod": "GET", "CsUriStem": "/a"})
ISO = "2025-10-10T13:55:36Z"

LINES = {
    # a line, with # in the client's address
    "ltsv": f"time:{ISO}\thost:203.0.113.#\treq:GET /a HTTP/1.1\tvhost:shop.example",
    "a duration in front of the request": COMMON.replace('"GET', '1234 "GET'),
    "the server in front of the request": COMMON.replace('"GET', 'shop.example "GET'),
    "uwsgi": "[pid: 7|app: 0|req: 1/1] 203.0.113.# () {{4 vars}} [Fri Oct 10 13:55:36 2025] GET /a => 5 bytes",
    "bars": "203.0.113.# | 10/Oct/2025:13:55:36 +0000 | GET /a HTTP/1.1 | 200",
    "haproxy with quotes in a header": (
        "203.0.113.#:40000 [10/Oct/2025:13:55:36.000] fe be/s1 0/0/0/1/1 200 5 - - ---- 1/1/0/0/0 0/0 "
        '{{curl "x" "GET /evil}} "GET /a HTTP/1.1"'
    ),
    "rails": 'Started GET "/a" for 203.0.113.# at 2025-10-10 13:55:36 +0000',
    "python's logging": "INFO:wsgi:" + COMMON,
    "a drain of heroku": f'83 <158>1 {ISO} host heroku router - at=info method=GET path="/a" fwd="203.0.113.#"',
    "lograge": "method=GET path=/a status=200 time=2025-10-10 15:55:36 +0200 remote_ip=203.0.113.#",
    "structlog": f"timestamp='{ISO}' event='request' client_ip='203.0.113.#' method='GET' path='/a'",
    "go's slog": "2025/10/10 13:55:36 INFO request method=GET path=/a remote=203.0.113.#:40000",
    "chi": '2025/10/10 13:55:36 [web/x-0001] "GET http://shop.example/a HTTP/1.1" from 203.0.113.#:4 - 200 5B in 1ms',
    "fly": f"{ISO} proxy[17] fra [info] {COMMON}",
    "caddy's common log": record(ts=1760104536.0, common_log=COMMON),
    "python-json-logger": record(asctime="2025-10-10 13:55:36,000", levelname="INFO", message=UVICORN),
    "json in a field of any name": record(time=ISO, category="http", properties=INNER),
    "a list of bytes in the journal": record(
        __REALTIME_TIMESTAMP="1760104536000000", MESSAGE=list(b'\x1b[32m203.0.113.7:4 - "GET /a HTTP/1.1" 200')
    ),
    "starlette's client": record(time=1760104536.0, client=["203.0.113.#", 40000], method="GET", path="/a"),
    "a string of json": json.dumps(COMMON),
    "nginx's way to escape": rf'{{{{"time": "{ISO}", "ip": "203.0.113.#", "request": "GET /a", "ua": "\x22x\xE9"}}}}',
    "a path without its slash": record(cliIP="203.0.113.#", reqTimeSec="1760104536", reqMethod="GET", reqPath="a"),
    "traefik behind a proxy": record(
        ClientHost="10.0.0.1",
        RequestMethod="GET",
        RequestPath="/a",
        StartUTC=ISO,
        **{"request_X-Forwarded-For": "203.0.113.#"},
    ),
    "nginx proxy manager": '[10/Oct/2025:13:55:36 +0000] - 200 200 - GET https shop.example "/a" [Client 203.0.113.#]',
    "php": "[Fri Oct 10 13:55:36 2025] 203.0.113.#:4 [200]: GET /a?b=1",
    "tornado": "[I 251010 13:55:36 web:2348] 200 GET /a (203.0.113.#) 1.23ms",
    "sanic": "[2025-10-10 13:55:36 +0000] - (sanic.access)[INFO][203.0.113.#:40000]: GET http://shop.example/a  200 5",
    "a clock of 12 hours": "2025-10-10 01:55:36 PM 203.0.113.# GET /a 200",
    "a zone with a name": "2025-10-10 15:55:36 CEST 203.0.113.# GET /a 200",
    "common event format": "CEF:0|a|b|1|x|req|5|src=203.0.113.# dst=10.0.0.1 rt=1760104536000 method=GET request=/a",
    "a time in brackets": "ip=203.0.113.# time=[10/Oct/2025:15:55:36 +0200] method=GET path=/a",
    "a folder beside the path": record(
        x_home="/srv", x_uriPath="/a", x_requestMethod="GET", x_remoteHost="203.0.113.#", at=ISO
    ),
    "an edge in front": record(edge_ip="192.0.2.9", when=ISO, user_addr="203.0.113.#", verb="GET", uri="/a"),
    "a number that looks like a time": f"1760000000,{ISO},203.0.113.#,GET,/a",
    "forwarded": record(time=ISO, remote_addr="10.0.0.1", forwarded="for=203.0.113.#, for=10.0.0.9", request="GET /a"),
    "a server inside in front": f"{ISO} 10.0.0.5 GET /a 443 203.0.113.# 200",
}


@pytest.mark.parametrize("name", LINES)
def test_client_time_method_and_path_are_found(name):
    line = LINES[name].replace("#", "{n}")
    head = "\n".join(line.format(n=n) for n in (7, 7, 7)).encode() + b"\n"
    calendar = Calendar(today=(2025, 10, 11))
    opened = Format("auto", Wanted((Selector("ip"),), request=True), calendar=calendar).open(head)
    ((now, *_), hits) = opened.reader.read(head).batch
    assert (now, hits) == (NOW, [(b"203.0.113.7", b"GET", b"/a")] * 3)


def test_connections_of_php_are_no_requests():
    line = "[Fri Oct 10 13:55:36 2025] 203.0.113.7:4 {}\n"
    said = ("Accepted", "[404]: GET /a - No such file or directory", "Closing")
    start = "[Fri Oct 10 13:55:30 2025] PHP 8.4.1 Development Server (http://localhost:8000) started\n"
    head = (start + "".join(map(line.format, said * 20))).encode()
    parsed = Format("auto", Wanted((Selector("ip"),), request=True)).open(head).reader.read(head)
    assert (parsed.batch, parsed.malformed) == (([NOW] * 20, [(b"203.0.113.7", b"GET", b"/a")] * 20), 0)


def test_the_time_is_not_that_of_collecting_lines():
    told = (
        record(**{"@timestamp": "2025-10-10T15:00:00Z", "timestamp": f"2025-10-10T13:55:{n:02}Z", "ip": "a"})
        for n in range(60)
    )
    head = "\n".join(told).replace("{{", "{").replace("}}", "}").encode()
    assert len(Format("auto", Wanted((Selector("ip"),))).open(head).reader.read(head).batch.hits) == 60


FRONTED = ["{client} 10.0.0.1", "{client}, 10.0.0.2 10.0.0.1", '"{client}, 10.0.0.2" 10.0.0.1']


@pytest.mark.parametrize("front", FRONTED)
def test_the_client_may_stand_in_front_of_the_proxy(front):
    lines = (COMMON.replace("203.0.113.{n}", front.format(client=f"203.0.113.{n}")) for n in (1, 2, 3))
    head = "\n".join(lines).encode()
    parsed = Format("auto", Wanted((Selector("ip"),))).open(head).reader.read(head)
    assert parsed.batch == ([NOW] * 3, [b"203.0.113.1", b"203.0.113.2", b"203.0.113.3"])


TABLES = {
    "a title": "Requests of October\ntime,ip,method,path\n2025-10-10 13:55:36,203.0.113.7,GET,/a\n",
    "what separates": "sep=;\ntime;ip;method;path\n2025-10-10 13:55:36;203.0.113.7;GET;/a\n",
    "rows with an index": ",time,ip,method,path\n0,2025-10-10 13:55:36,203.0.113.7,GET,/a\n",
    "bars at the ends": "| time | ip | method | path |\n| 2025-10-10 13:55:36 | 203.0.113.7 | GET | /a |\n",
    "a name that comes again": "time,ip,host,host,method,path\n2025-10-10 13:55:36,203.0.113.7,a,b,GET,/a\n",
    "a zone in its own column": "date;time;tz;ip;method;path\n2025-10-10;15:55:36;+0200;203.0.113.7;GET;/a\n",
    "a unit behind a name": "Expires,Time (UTC),Client IP,Method,Path\n1,2025-10-10 13:55:36,203.0.113.7,GET,/a\n",
    "w3c": "#Fields: date time c-ip cs-method cs-uri\n2025-10-10 13:55:36 203.0.113.7 GET /a\n",
    "w3c with a plus": (
        "#Fields: date time c-ip cs-method cs-uri-stem X-Forwarded-For\n"
        "2025-10-10 13:55:36 10.0.0.1 GET /a 203.0.113.7,+10.0.0.2\n"
    ),
    "w3c with other columns below": (
        "#Fields: date time c-ip cs-method cs-uri\n2025-10-10 13:55:36 203.0.113.7 GET /a\n"
        "#Fields: date time s-ip c-ip cs-method cs-uri\n" + "2025-10-10 13:55:36 10.0.0.1 203.0.113.7 GET /a\n" * 9
    ),
}


@pytest.mark.parametrize("name", TABLES)
def test_columns_may_be_named_in_many_ways(name):
    head = TABLES[name].encode()
    parsed = Format("auto", Wanted((Selector("ip"),), request=True)).open(head).reader.read(head)
    assert parsed.batch == ([NOW], [(b"203.0.113.7", b"GET", b"/a")])
