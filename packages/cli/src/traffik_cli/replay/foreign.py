"""A limit in the words of nginx, HAProxy and Envoy, and in which ways they count differently."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Final

from traffik.model.errors import ConfigurationError
from traffik.model.rates import Rate
from traffik_cli.replay.scenarios import Trial

__all__ = ["FOREIGN", "translate"]

_SECOND: Final = 1_000_000
_UNITS: Final = {
    _SECOND: "second",
    60 * _SECOND: "minute",
    3_600 * _SECOND: "hour",
    86_400 * _SECOND: "day",
}


def translate(trial: Trial, target: str) -> str:
    """The configuration that comes nearest to a throttle of one rate, with its differences as comments.

    Args:
        trial: the throttle.
        target: one of `FOREIGN`.

    Raises:
        ConfigurationError: the target cannot say it.
    """
    if len(trial.plan.rates) != 1 or trial.cost != 1 or trial.weight is not None:
        raise ConfigurationError(f"--as {target} can say one rate for requests that cost 1 each")
    if trial.plan.rates[0].unit is not None:
        raise ConfigurationError(f"--as {target} can say a rate of requests, not {trial.plan.rates[0]}")
    if trial.selector.kind not in {"ip", "header"}:
        raise ConfigurationError(f"--as {target} can say --key ip or header:NAME, not {trial.selector}")
    return FOREIGN[target](trial, trial.plan.rates[0])


def _nginx(trial: Trial, rate: Rate) -> str:
    each = {"r/s": Fraction(rate.limit * _SECOND, rate.period), "r/m": Fraction(rate.limit * 60 * _SECOND, rate.period)}
    unit = next((unit for unit, value in each.items() if value.denominator == 1), "r/m")
    count = max(int(each[unit]), 1)
    rounded = (
        "" if each[unit] == count else f"\n# - {rate} is no whole number of requests a minute: this is {count}r/m."
    )
    key = (
        "$binary_remote_addr"
        if trial.selector.kind == "ip"
        else f"$http_{trial.selector.name.lower().replace('-', '_')}"
    )
    return f"""# nginx, for {rate} of traffik. Differences:
# - It counts as gcra does: {rate.limit} at once, then one whenever the rate allows, not {rate.limit} in any window.
# - Each address of IPv6 has its own limit, not each /64. A request with an empty key is not limited.
# - Each nginx counts by itself, and answers without Retry-After.{rounded}
limit_req_zone {key} zone=traffik:10m rate={count}{unit};
limit_req zone=traffik burst={max(rate.limit - 1, 0)} nodelay;
limit_req_status 429;
"""


def _haproxy(trial: Trial, rate: Rate) -> str:
    span = f"{rate.period // 1000}ms" if rate.period % _SECOND else f"{rate.period // _SECOND}s"
    by_address = trial.selector.kind == "ip"
    kind, key = ("ipv6", "src,ipmask(32,64)") if by_address else ("string len 128", f"req.hdr({trial.selector.name})")
    return f"""# HAProxy, for {rate} of traffik. Differences:
# - Refused requests count too: a client that goes on is refused until it makes fewer than {rate.limit} in {span}.
# - It counts as sliding-counter does: the period before fades out.
# - Each HAProxy counts by itself (unless peers share the table), and answers without Retry-After.
stick-table type {kind} size 1m expire {span} store http_req_rate({span})
http-request track-sc0 {key}
http-request deny deny_status 429 if {{ sc_http_req_rate(0) gt {rate.limit} }}
"""


def _envoy(trial: Trial, rate: Rate) -> str:
    unit = _UNITS.get(rate.period)
    if unit is None:
        raise ConfigurationError(f"--as envoy can say a rate a second, minute, hour or day, not {rate}")
    name = trial.selector.name
    key, action = ("remote_address", "remote_address: {}")
    if trial.selector.kind == "header":
        key, action = name.lower(), f"request_headers: {{header_name: {name}, descriptor_key: {name.lower()}}}"
    return f"""# Envoy with its rate limit service, for {rate} of traffik. Differences:
# - It counts as fixed-window does, in windows of the calendar: up to {2 * rate.limit} may pass around the end of one.
# - Each address of IPv6 has its own limit, not each /64. Refused requests count too.
# The service:
domain: traffik
descriptors:
  - key: {key}
    rate_limit: {{unit: {unit}, requests_per_unit: {rate.limit}}}
# The route:
# rate_limits:
#   - actions:
#       - {action}
"""


FOREIGN: Final[Mapping[str, Callable[[Trial, Rate], str]]] = {"nginx": _nginx, "haproxy": _haproxy, "envoy": _envoy}
"""The servers by name."""
