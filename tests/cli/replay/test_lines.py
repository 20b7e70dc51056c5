"""Example lines of many servers and collectors: client, time, method and path are found in each."""

from __future__ import annotations

import json

import pytest

from traffik_cli.replay.batches import Wanted
from traffik_cli.replay.formats import Format
from traffik_cli.replay.selectors import Selector
from traffik_cli.replay.times import Calendar

NOW = 1_760_104_536_000_000
CLF = '203.0.113.{n} - - [10/Oct/2025:13:55:36 +0000] "GET /a?b=c HTTP/1.1" 200 512 "-" "curl/8"'
COMMON = '203.0.113.{n} - - [10/Oct/2025:13:55:36 +0000] "GET /a HTTP/1.1" 200 512'
UVICORN = '203.0.113.{n}:40000 - "GET /a?b=c HTTP/1.1" 200'


def record(**fields):
    return json.dumps(fields).replace("#", "{n}").replace("{", "{{").replace("}", "}}").replace("{{n}}", "{n}")


LINES = {
    # name: (a line, with {n} in the client's address; the format it is; the wrappers)
    "combined": (CLF, "combined"),
    "common": (COMMON, "combined"),
    "nginx main with X-Forwarded-For": (CLF + ' "-"', "combined"),
    "more fields behind": (CLF + ' "203.0.113.9" rt=0.005 uct="0.000" uht="0.005"', "combined"),
    "forwarded by a private proxy": (
        CLF.replace("203.0.113.{n}", "10.0.0.7") + ' "203.0.113.{n}, 10.0.0.8"',
        "combined",
    ),
    "the header in front": (CLF.replace("203.0.113.{n}", "203.0.113.{n}, 10.0.0.8"), "combined"),
    "nginx ingress of old": (CLF.replace(" - - ", " - [203.0.113.{n}] - - "), "combined"),
    "vhost_combined": ("shop.example:443 " + CLF, "vhost_combined"),
    "vhost with an address": ("10.0.0.1:443 " + CLF, "vhost_combined"),
    "traefik": (CLF + ' 17 "web@docker" "http://10.0.0.5:80" 3ms', "combined"),
    "werkzeug": (COMMON.replace("10/Oct/2025:13:55:36 +0000", "10/Oct/2025 13:55:36"), "combined"),
    "varnish": (CLF.replace("/a?b=c", "http://shop.example/a?b=c"), "combined"),
    "a port": (CLF.replace(".{n} ", ".{n}:40000 "), "combined"),
    "ipv6 in brackets": (CLF.replace("203.0.113.{n}", "[2001:db8:{n}::1]:443"), "combined"),
    "uvicorn": ("INFO:     " + UVICORN + " OK", "uvicorn"),
    "uvicorn with a time": ("2025-10-10 13:55:36,000 - uvicorn.access - INFO - " + UVICORN, "uvicorn"),
    "uvicorn with a time in front": ("2025-10-10 13:55:36 INFO:     " + UVICORN, "uvicorn"),
    "uvicorn under systemd": ("Oct 10 13:55:36 web uvicorn[77]: INFO:     " + UVICORN, "uvicorn"),
    "aiohttp": (COMMON.replace(" - - ", " ") + ' "-" "curl/8"', "aiohttp"),
    "gunicorn in a service": ("Oct 10 13:55:36 web gunicorn[77]: " + CLF, "combined"),
    "rfc 5424": ('<134>1 2025-10-10T13:55:36Z web nginx 7 - [a@1 b="c"] ' + CLF, "combined"),
    "rfc 3164 with a priority": ("<134>Oct 10 13:55:36 web nginx: " + CLF, "combined"),
    "rsyslog": ("2025-10-10T13:55:36.123456+00:00 web nginx: " + CLF, "combined"),
    "cri": ("2025-10-10T13:55:36.123456789Z stdout F " + CLF, "combined"),
    "kubectl": ("[pod/web-5d/nginx] " + CLF, "combined"),
    "docker logs -t": ("2025-10-10T13:55:36.123456789Z " + CLF, "combined"),
    "aws logs tail": ("2025-10-10T13:55:36+00:00 web/nginx/abc " + CLF, "combined"),
    "compose": ("web-1  | " + CLF, "combined"),
    "cri around docker": ("2025-10-10T13:55:36Z stderr F INFO:     " + UVICORN, "uvicorn"),
    "journald": (
        record(__REALTIME_TIMESTAMP="1760104536000000", MESSAGE='INFO: 203.0.113.#:4 - "GET /a HTTP/1.1" 200'),
        "uvicorn",
    ),
    "fluentd": (
        record(log='203.0.113.# - - [10/Oct/2025:13:55:36 +0000] "GET /a HTTP/1.1" 200 5\n', kubernetes={"host": "n"}),
        "combined",
    ),
    "loki": (
        record(line='203.0.113.# - - [10/Oct/2025:13:55:36 +0000] "GET /a HTTP/1.1" 200 5', timestamp="x"),
        "combined",
    ),
    "json in json": (
        record(log='{"time": "2025-10-10T13:55:36Z", "ip": "203.0.113.#", "method": "GET", "path": "/a"}'),
        "json",
    ),
    "alb": (
        (
            "h2 2025-10-10T13:55:36Z app/lb/50 203.0.113.{n}:40000 10.0.0.1:80 0.0 0.0 0.0 200 200 34 366 "
            '"GET https://shop.example:443/a?b HTTP/2.0" "curl/8" - - arn "Root=1-5" "shop.example"'
        ),
        "alb",
    ),
    "elb": (
        (
            "2025-10-10T13:55:36Z my-lb 203.0.113.{n}:2817 10.0.0.1:80 0.0 0.0 0.0 200 200 0 29 "
            '"GET http://shop.example:80/a HTTP/1.1" "curl/8" - -'
        ),
        "elb",
    ),
    "nlb": (
        (
            "tls 2.0 2025-10-10T13:55:36 net/lb/50 50 203.0.113.{n}:51341 10.0.0.1:443 5 2 98 246 - arn - "
            "ECDHE-RSA tlsv12 - shop.example - - -"
        ),
        "words",
    ),
    "s3": (
        'abc bucket [10/Oct/2025:13:55:36 +0000] 203.0.113.{n} - 3E REST.GET.OBJECT a "GET /a?x HTTP/1.1" 200 - 5',
        "s3",
    ),
    "envoy": (
        '[2025-10-10T13:55:36Z] "GET /a HTTP/1.1" 200 - 0 5 5 4 "203.0.113.{n}" "curl" "7f" "shop.example" "10.0.0.1"',
        "envoy",
    ),
    "istio": (
        (
            '[2025-10-10T13:55:36Z] "GET /a HTTP/1.1" 200 - via_upstream - "-" 0 5 4 4 "203.0.113.{n}" "c" "84" "s" '
            '"127.0.0.1:80" inbound|80|| 127.0.0.1:41854 10.44.1.27:80 10.44.1.23:37652 outbound default'
        ),
        "istio",
    ),
    "haproxy": (
        (
            "203.0.113.{n}:40000 [10/Oct/2025:13:55:36.000] fe~ be/s1 0/0/0/1/1 200 5 - - ---- 1/1/0/0/0 0/0 "
            '{{shop.example|curl}} "GET /a HTTP/1.1"'
        ),
        "haproxy",
    ),
    "squid": (
        "1760104536.000    310 203.0.113.{n} TCP_MISS/200 1106 GET http://shop.example/a?b - DIRECT/10.0.0.1 -",
        "words",
    ),
    "heroku": (
        '2025-10-10T13:55:36+00:00 heroku[router]: at=info method=GET path="/a?b" fwd="203.0.113.{n}"',
        "heroku",
    ),
    "logfmt": ("ts=2025-10-10T13:55:36Z level=info remote=203.0.113.{n}:40000 method=GET path=/a took=1ms", "logfmt"),
    "logfmt behind a time": ("2025-10-10T13:55:36Z INFO request ip=203.0.113.{n} method=GET path=/a", "logfmt"),
    "nginx json": (
        record(
            time_iso8601="2025-10-10T13:55:36+00:00",
            remote_addr="203.0.113.#",
            request="GET /a HTTP/1.1",
            request_time="0.1",
        ),
        "json",
    ),
    "nginx json behind a proxy": (
        record(
            msec="1760104536.000",
            remote_addr="10.0.0.1",
            http_x_forwarded_for="203.0.113.#",
            request_uri="/a",
            request_method="GET",
        ),
        "json",
    ),
    "caddy": (
        record(
            ts=1760104536.0, request={"remote_ip": "203.0.113.#", "method": "GET", "uri": "/a", "headers": {"A": ["b"]}}
        ),
        "caddy",
    ),
    "caddy behind a proxy": (
        record(
            ts=1760104536.0,
            request={
                "remote_ip": "10.0.0.1",
                "method": "GET",
                "uri": "/a",
                "headers": {"X-Forwarded-For": ["203.0.113.#"]},
            },
        ),
        "caddy",
    ),
    "traefik json": (
        record(
            ClientHost="203.0.113.#",
            RequestMethod="GET",
            RequestPath="/a?b",
            StartUTC="2025-10-10T13:55:36Z",
            time="2025-10-10T14:00:00Z",
        ),
        "traefik",
    ),
    "cloudflare": (
        record(
            ClientIP="203.0.113.#",
            ClientRequestMethod="GET",
            ClientRequestURI="/a?b",
            EdgeStartTimestamp="2025-10-10T13:55:36Z",
            OriginIP="10.0.0.1",
        ),
        "cloudflare",
    ),
    "gcp": (
        record(
            timestamp="2025-10-10T13:55:36Z",
            httpRequest={
                "remoteIp": "203.0.113.#",
                "requestMethod": "GET",
                "requestUrl": "https://shop.example/a?b",
                "serverIp": "10.0.0.1",
            },
        ),
        "gcp",
    ),
    "api gateway, http": (
        record(
            requestTime="10/Oct/2025:13:55:36 +0000", ip="203.0.113.#", routeKey="GET /a", httpMethod="GET", path="/a"
        ),
        "apigateway",
    ),
    "aws waf": (
        record(
            timestamp=1760104536000,
            httpRequest={
                "clientIp": "203.0.113.#",
                "uri": "/a",
                "httpMethod": "GET",
                "headers": [{"name": "Host", "value": "x"}],
            },
        ),
        "json",
    ),
    "ecs": (
        record(
            **{
                "@timestamp": "2025-10-10T13:55:36Z",
                "source": {"ip": "203.0.113.#"},
                "url": {"path": "/a"},
                "http": {"request": {"method": "GET"}},
                "host": {"ip": "10.0.0.1"},
            }
        ),
        "ecs",
    ),
    "ecs with dots": (
        record(
            **{
                "@timestamp": "2025-10-10T13:55:36Z",
                "client.ip": "203.0.113.#",
                "url.path": "/a",
                "http.request.method": "GET",
                "server.ip": "10.0.0.1",
            }
        ),
        "ecs",
    ),
    "pino": (
        record(
            time=1760104536000,
            req={"method": "GET", "url": "/a?b", "remoteAddress": "::ffff:203.0.113.#", "remotePort": 4},
            hostname="web",
        ),
        "json",
    ),
    "open telemetry": (
        record(
            timeUnixNano="1760104536000000000",
            attributes={"client.address": "203.0.113.#", "url.path": "/a", "http.request.method": "GET"},
        ),
        "json",
    ),
    "fastly, of one's own": (
        record(
            timestamp="2025-10-10T13:55:36+0000",
            client_ip="203.0.113.#",
            request_method="GET",
            url="/a?b",
            server_ip="10.0.0.1",
            host="shop.example",
        ),
        "json",
    ),
    "akamai": (
        record(reqTimeSec="1760104536.000", cliIP="203.0.113.#", reqMethod="GET", reqPath="/a", edgeIP="10.0.0.1"),
        "akamai",
    ),
    "azure": (
        record(
            time="2025-10-10T13:55:36Z",
            properties={"clientIp": "203.0.113.#", "httpMethod": "GET", "requestUri": "https://shop.example/a"},
        ),
        "json",
    ),
    "kong": (
        record(
            started_at=1760104536000,
            client_ip="203.0.113.#",
            request={"method": "GET", "uri": "/a", "url": "http://x:80/a", "headers": {"host": "x"}},
        ),
        "json",
    ),
    "splunk": (
        record(
            result={
                "_time": "2025-10-10T13:55:36.000+0000",
                "_raw": '203.0.113.# - - [10/Oct/2025:13:55:36 +0000] "GET /a" 200 5',
            }
        ),
        "combined",
    ),
    "datadog": (
        record(
            attributes={
                "timestamp": "2025-10-10T13:55:36Z",
                "http": {"method": "GET", "url_details": {"path": "/a"}},
                "network": {"client": {"ip": "203.0.113.#"}},
            }
        ),
        "json",
    ),
    "filebeat": (
        record(
            **{
                "@timestamp": "2025-11-01T00:00:00Z",
                "message": '203.0.113.# - - [10/Oct/2025:13:55:36 +0000] "GET /a" 200 5',
                "host": {"ip": ["10.0.0.1"]},
            }
        ),
        "combined",
    ),
    "a server called host": (
        record(time="2025-10-10T13:55:36Z", host="10.0.0.5", visitor="203.0.113.#", method="GET", path="/a"),
        "json",
    ),
    "a content delivery network": (
        record(
            time="2025-10-10T13:55:36Z",
            remote_addr="192.0.2.9",
            http_cf_connecting_ip="203.0.113.#",
            method="GET",
            uri="/a",
        ),
        "json",
    ),
    "fluentd with a tag": (
        "2025-10-10T13:55:36+00:00\tnginx.access\t" + record(remote="203.0.113.#", method="GET", path="/a"),
        "json",
    ),
    "json of compose": (
        "web-1  | " + record(time="2025-10-10T13:55:36Z", remote_addr="203.0.113.#", request="GET /a HTTP/1.1"),
        "json",
    ),
    "swarm": ("web.1.abcdef123@node1    | " + CLF, "combined"),
    "a thread in front": ("[http-nio-8080-exec-1] " + CLF, "combined"),
    "a duration in front": ("1234 " + CLF, "combined"),
    "haproxy of tcp": (
        "203.0.113.{n}:40000 [10/Oct/2025:13:55:36.123] fe be/s1 0/0/5007 212 -- 0/0/0/0/3 0/0",
        "haproxy",
    ),
    "ruby's logger": (
        "I, [2025-10-10T13:55:36.123456 #1]  INFO -- : method=GET path=/a remote_ip=203.0.113.{n}",
        "logfmt",
    ),
    "gin": ('[GIN] 2025/10/10 - 13:55:36 | 200 |     1.2ms |    203.0.113.{n} | GET      "/a"', "words"),
    "pipes": ("2025-10-10 13:55:36|203.0.113.{n}|GET|/a|200", "csv"),
    "words": ("2025-10-10T13:55:36+00:00 203.0.113.{n} GET /a 200 0.005", "words"),
    "words in quotes": ('"2025-10-10T13:55:36Z" "203.0.113.{n}" "GET" "/a" "200"', "words"),
    "names that say nothing": (record(a="2025-10-10T13:55:36Z", b="203.0.113.#", c="GET /a HTTP/1.1"), "json"),
    "tab-separated without names": ("1760104536\t203.0.113.{n}\tGET\t/a\t200", "csv"),
}


def lines_of(name):
    line = LINES[name][0]
    return [line.format(n=n).encode() for n in (1, 2, 3, 1, 2)]


UNTIMED = {"uvicorn"}
CLIENTS = {"ipv6 in brackets": b"2001:db8:%d::1", "pino": b"::ffff:203.0.113.%d"}
NAMELESS = {"gin", "pipes", "words", "words in quotes", "nlb", "squid", "tab-separated without names"}
"""Their fields are found by their values alone, which most lines have to have."""
REQUESTS = {"nlb": (None, None), "haproxy of tcp": (None, None)}


@pytest.mark.parametrize("name", LINES)
def test_client_time_method_and_path_are_found(name):
    head = b"\n".join(lines_of(name)) + b"\n"
    wanted = Wanted((Selector("ip"),), request=True)
    opened = Format("auto", wanted, calendar=Calendar(today=(2025, 10, 11))).open(head)
    assert opened.detected.format == LINES[name][1]
    hits = [(now, *hit) for now, hit in zip(*opened.reader.read(head).batch, strict=True)]
    asked = REQUESTS.get(name, (b"GET", b"/a"))
    expected = [(CLIENTS.get(name, b"203.0.113.%d") % n, *asked) for n in (1, 2, 3, 1, 2)]
    assert expected == [hit[1:] for hit in hits]
    assert {0 if name in UNTIMED else NOW // 1_000_000} == {hit[0] // 1_000_000 for hit in hits}


@pytest.mark.parametrize("name", sorted({*LINES} - NAMELESS))
def test_other_lines_in_between_only_count_as_malformed(name):
    good = lines_of(name)
    head = b"\n".join([b"Starting up!", good[0], b"a word, and another", *good[1:], b"", b"Shutting down"])
    calendar = Calendar(today=(2025, 10, 11))
    parsed = Format("auto", Wanted((Selector("ip"),)), calendar=calendar).open(head).reader.read(head)
    assert (len(parsed.batch.hits), parsed.malformed) == (5, 3)
