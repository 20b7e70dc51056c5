"""Formats that are known by name: where the client, the time and the request stand in each.

A format of text is a template, as `traffik_cli.replay.templates` reads them. A format of records is told by fields that
no other has.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from traffik_cli.replay.records import Fields

__all__ = ["NAMED", "RECORDS", "TEXTS", "KnownRecords", "KnownText"]


@dataclass(frozen=True, slots=True)
class KnownText:
    """A format whose lines are text.

    Attributes:
        name: what it is called.
        template: what stands where.
        needed: the variable up to which a line has to match.
        others: matches lines that are no requests; None if all lines are.
    """

    name: str
    template: str
    needed: str = "request"
    others: re.Pattern[bytes] | None = None

    @property
    def fields(self) -> Fields:
        """Where the facts stand."""
        client = next((name for name in ("client_addr", "remote_addr") if f"${name}" in self.template), None)
        return Fields("time" if re.search(r"\$time\b", self.template) else None, client)


@dataclass(frozen=True, slots=True)
class KnownRecords:
    """A format whose lines are objects of JSON, pairs, or rows under names.

    Attributes:
        name: what it is called.
        marks: fields that its records have, by which it is recognized.
        fields: where the facts stand.
    """

    name: str
    marks: tuple[str, ...]
    fields: Fields = field(default_factory=Fields)


TEXTS: Final = (
    KnownText(
        "alb",
        "$type $time $elb $client_addr $target $t1 $t2 $t3 $status $target_status $bytes_in $bytes "
        '"$request" "$http_user_agent"',
    ),
    KnownText(
        "elb",
        "$time $elb $client_addr $target $t1 $t2 $t3 $status $target_status $bytes_in $bytes "
        '"$request" "$http_user_agent"',
    ),
    KnownText(
        "s3",
        '$bucket_owner $bucket [$time] $remote_addr $requester $request_id $operation $key "$request" $status',
    ),
    KnownText(
        "istio",
        '[$time] "$request" $status $flags $details $reason "$failure" $bytes_in $bytes $duration $upstream_time '
        '"$http_x_forwarded_for" "$http_user_agent" "$request_id" "$authority" "$upstream" $cluster $upstream_local '
        "$downstream_local $remote_addr $sni",
    ),
    KnownText(
        "envoy",
        '[$time] "$request" $status $flags $bytes_in $bytes $duration $upstream_time '
        '"$http_x_forwarded_for" "$http_user_agent" "$request_id" "$authority" "$upstream"',
    ),
    KnownText("aiohttp", '$remote_addr [$time] "$request" $status $bytes "$http_referer" "$http_user_agent"'),
    KnownText(
        "haproxy", '$client_addr [$time] $frontend $backend/$server $timers $status $bytes $_ "$request"', "timers"
    ),
    KnownText("rails", 'Started $method "$path" for $remote_addr at $time', "time"),
    KnownText("tornado", "[$level $time $module] $status $method $path ($remote_addr)", "remote_addr"),
    KnownText(
        "nginx proxy manager",
        '[$time] $_ $method $scheme $vhost "$path" [Client $remote_addr]',
        "remote_addr",
    ),
    KnownText(
        "php",
        "[$time] $client_addr [$status]: $method $path",
        "path",
        re.compile(rb"\[[^\]]*\] (?:\S+ (?:Accepted|Closing|Closed .*)|PHP \S+ Development Server .*)"),
    ),
    KnownText("uvicorn", '$client_addr - "$request" $status'),
)
"""Formats of text, those that say more before those that say less."""

RECORDS: Final = (
    KnownRecords(
        "caddy", ("request.remote_ip", "request.uri", "ts"), Fields("ts", None, "request.method", "request.uri")
    ),
    KnownRecords("traefik", ("ClientHost", "RequestPath"), Fields(None, "ClientHost", "RequestMethod", "RequestPath")),
    KnownRecords("ecs", ("@timestamp", "url.path"), Fields("@timestamp", None, "http.request.method", "url.path")),
    KnownRecords(
        "gcp",
        ("httpRequest.remoteIp", "timestamp"),
        Fields("timestamp", "httpRequest.remoteIp", "httpRequest.requestMethod", "httpRequest.requestUrl"),
    ),
    KnownRecords(
        "cloudflare",
        ("ClientIP", "EdgeStartTimestamp"),
        Fields("EdgeStartTimestamp", "ClientIP", "ClientRequestMethod", None),
    ),
    KnownRecords("akamai", ("cliIP", "reqTimeSec"), Fields("reqTimeSec", None, "reqMethod", "reqPath")),
    KnownRecords("apigateway", ("requestTime", "httpMethod"), Fields("requestTime", None, "httpMethod", None)),
    KnownRecords("apigateway", ("requestTime", "routeKey"), Fields("requestTime")),
    KnownRecords("heroku", ("at", "method", "path", "fwd"), Fields(None, None, "method", "path", "fwd")),
    KnownRecords(
        "cloudfront", ("c-ip", "cs-uri-stem", "x-edge-location"), Fields(None, "c-ip", "cs-method", "cs-uri-stem")
    ),
    KnownRecords("w3c", ("c-ip", "cs-uri-stem"), Fields(None, "c-ip", "cs-method", "cs-uri-stem")),
)
"""Formats of records, those that say more before those that say less."""

NAMED: Final = (
    *("combined", "common", "vhost_combined", "json", "csv", "w3c", "iis", "logfmt", "gunicorn"),
    *(known.name for known in TEXTS),
    *dict.fromkeys(known.name for known in RECORDS if known.name != "w3c"),
)
"""The names of all formats."""
