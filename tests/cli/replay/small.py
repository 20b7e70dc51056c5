"""Writes small logs of the same hits in every format."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, timedelta
from datetime import datetime as moment  # noqa: TID251 - an independent reading of the same times

EPOCH = moment(1970, 1, 1, tzinfo=UTC)


def at(micros):
    return EPOCH + timedelta(microseconds=micros)


def combined(hits):
    """The Combined Log Format, with times in whole seconds."""
    return b"".join(
        f'{client} - - [{at(now):%d/%b/%Y:%H:%M:%S} +0000] "GET /a?b=c HTTP/1.1" 200 5 "-" "curl/8"\n'.encode()
        for now, client in hits
    )


def common(hits):
    """The Common Log Format, in another time zone."""
    return b"".join(
        f'{client} - ada [{at(now) + timedelta(hours=2):%d/%b/%Y:%H:%M:%S} +0200] "GET /a HTTP/1.1" 200 5\n'.encode()
        for now, client in hits
    )


def json_lines(hits):
    return b"".join(
        json.dumps({"ts": at(now).isoformat(), "remote_addr": client, "method": "GET", "path": "/a"}).encode() + b"\n"
        for now, client in hits
    )


def csv_table(hits):
    file = io.StringIO()
    rows = csv.writer(file)
    rows.writerow(["timestamp", "client_ip", "agent"])
    rows.writerows((f"{now // 1_000_000}.{now % 1_000_000:06}", client, "a, b") for now, client in hits)
    return file.getvalue().encode()


FORMATS = {"combined": combined, "common": common, "json": json_lines, "csv": csv_table}
