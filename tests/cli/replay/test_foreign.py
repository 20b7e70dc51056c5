"""A limit in the configuration of other servers."""

from __future__ import annotations

import pytest

from traffik.model.errors import ConfigurationError
from traffik_cli.replay.foreign import FOREIGN, translate
from traffik_cli.replay.trials import trial_of


@pytest.mark.parametrize(
    ("rate", "target", "lines"),
    [
        ("30/min", "nginx", ["zone=traffik:10m rate=30r/m;", "burst=29 nodelay;", "limit_req_status 429;"]),
        ("120/min", "nginx", ["rate=2r/s;", "burst=119"]),
        ("100/hour", "nginx", ["rate=1r/m;", "is no whole number of requests a minute"]),
        ("30/min", "haproxy", ["http_req_rate(60s)", "sc_http_req_rate(0) gt 30", "ipmask(32,64)"]),
        ("5/500ms", "haproxy", ["http_req_rate(500ms)"]),
        ("30/min", "envoy", ["unit: minute, requests_per_unit: 30", "remote_address: {}"]),
    ],
)
def test_a_limit_by_address_is_written_for_each_server(rate, target, lines):
    text = translate(trial_of(rate), target)
    assert [line for line in lines if line not in text] == []
    assert "Differences:" in text


@pytest.mark.parametrize(
    ("target", "words"),
    [("nginx", "$http_x_key"), ("haproxy", "req.hdr(X-Key)"), ("envoy", "header_name: X-Key, descriptor_key: x-key")],
)
def test_a_limit_by_header_is_written_for_each_server(target, words):
    assert words in translate(trial_of("30/min", key="header:X-Key"), target)


@pytest.mark.parametrize("target", list(FOREIGN))
@pytest.mark.parametrize("how", [{"cost": 2}, {"cost": "field:bytes"}, {"key": "field:user"}])
def test_limits_that_other_servers_cannot_express_are_errors(target, how):
    with pytest.raises(ConfigurationError, match=f"--as {target} can say"):
        translate(trial_of("30/min", **how), target)


def test_envoy_accepts_four_periods():
    with pytest.raises(ConfigurationError, match="second, minute, hour or day"):
        translate(trial_of("30/5min"), "envoy")
