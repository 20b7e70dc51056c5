"""Rejections: the responses to refused connections, as plain data that each adapter sends in its framework's own way.

The body is a problem (RFC 9457) of a type that draft-ietf-httpapi-ratelimit-headers-11 registers in section 10.2: the
client's quota is exceeded (429), or the store does not answer (503). A browser gets a page.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from http import HTTPStatus
from typing import Final, NamedTuple

from traffik.model.decisions import FORBIDDEN, UNAVAILABLE, Decision
from traffik.model.errors import TraffikError
from traffik.model.units import noun_of, write_amount
from traffik.responses.headers import PreparedPolicies, joined
from traffik.responses.negotiation import HTML, JSON, PROBLEM, kind_for

__all__ = ["QUOTA_EXCEEDED", "REDUCED_CAPACITY", "Rejection", "Reply", "Throttled", "reject", "status_of"]

QUOTA_EXCEEDED: Final = "https://iana.org/assignments/http-problem-types#quota-exceeded"
"""The type of a problem with status 429."""

REDUCED_CAPACITY: Final = "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity"
"""The type of a problem with status 503."""

_STATUS: Final[dict[str | None, int]] = {FORBIDDEN: 403, UNAVAILABLE: 503}

_KINDS: Final = {
    429: {"type": QUOTA_EXCEEDED, "title": "Quota Exceeded"},
    503: {"type": REDUCED_CAPACITY, "title": "Temporary Reduced Capacity"},
}

# Self-contained, and without a style, which a strict content security policy would block.
_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width">
  <title>{heading}</title>
</head>
<body>
  <h1>{heading}</h1><p>{detail}</p>
</body>
</html>
"""


class Reply(NamedTuple):
    """A whole HTTP response.

    Attributes:
        status: the HTTP status.
        headers: header fields by name and value, Content-Type among them.
        body: its bytes.
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


@dataclass(frozen=True, slots=True)
class Rejection:
    """The response to a refused connection.

    Attributes:
        decision: the refusal.
        status: the HTTP status: 429; 503 if the store does not answer; 403 for a denied client.
        detail: one sentence for the client.
        retry_after: seconds until the same cost is admitted, rounded up, with the client's share of the jitter; None
            if it never is.
        headers: header fields by name and value.
        violated: the names of the policies that refuse, as in ``RateLimit-Policy``.
        problem: whether the body is a problem. If not, it is the detail alone.
    """

    decision: Decision
    status: int
    detail: str
    retry_after: int | None
    headers: tuple[tuple[str, str], ...]
    violated: tuple[str, ...] = ()
    problem: bool = True

    @property
    def body(self) -> dict[str, object]:
        """The body of an HTTP response, to be written as JSON."""
        if not self.problem:
            return {"detail": self.detail}
        # A problem without a type has the meaning of its status (RFC 9457, section 4.2.1).
        kind = _KINDS.get(self.status, {"title": self.heading})
        body: dict[str, object] = {**kind, "status": self.status, "detail": self.detail}
        return {**body, "violated-policies": list(self.violated)} if self.violated else body

    @property
    def message(self) -> dict[str, object]:
        """The message to an accepted WebSocket, to be written as JSON."""
        return {"type": "rate_limit", "error": self.detail, "retry_after": self.retry_after}

    @property
    def heading(self) -> str:
        """The name of the status."""
        return HTTPStatus(self.status).phrase

    @property
    def page(self) -> str:
        """The body of an HTTP response to a browser."""
        return _PAGE.format(heading=self.heading, detail=escape(self.detail))

    def kind(self, accept: Sequence[str]) -> str:
        """The media type of the response to a client with these lines of Accept."""
        kind = kind_for(accept)
        return JSON if kind == PROBLEM and not self.problem else kind

    def reply(self, accept: Sequence[str]) -> Reply:
        """The whole response to a client with these lines of Accept."""
        kind = self.kind(accept)
        content = self.page if kind == HTML else json.dumps(self.body)
        named = f"{kind}; charset=utf-8" if kind == HTML else kind
        fields = (*self.headers, ("Content-Type", named), ("Vary", "Accept"))
        return Reply(self.status, fields, content.encode())


def status_of(decision: Decision) -> int:
    """The HTTP status of the rejection of a refused decision."""
    return _STATUS.get(decision.degraded, 429)


class Throttled(TraffikError):
    """A connection is refused. Each adapter raises a subclass that is its framework's own error.

    Attributes:
        rejection: the response: status, headers, text and body.
        decision: the refusal itself, with the exact wait.
    """

    def __init__(self, rejection: Rejection) -> None:
        super().__init__(rejection.detail)
        self.rejection = rejection

    @property
    def decision(self) -> Decision:
        return self.rejection.decision


def reject(
    decision: Decision, policies: PreparedPolicies, others: Sequence[tuple[PreparedPolicies, Decision]] = ()
) -> Rejection:
    """The rejection of a refused decision; the header fields also show `others`, decided in the same step."""
    status, problem = status_of(decision), policies.responses.problem
    if decision.degraded == FORBIDDEN:
        return Rejection(decision, status, "This client is not served.", None, (), (), problem)
    wait, fields = policies.retry_after(decision), tuple(joined(policies, decision, others))
    if decision.degraded == UNAVAILABLE:
        detail = f"The rate limiter is unavailable. Retry in {_seconds(wait)}."
        return Rejection(decision, status, detail, wait, fields, (), problem)
    unit = policies.unit(decision)
    if wait is None:
        most = write_amount(decision.limit, unit)
        detail = f"Too many {noun_of(unit)}. This one costs more than the limit of {most} can ever admit."
    else:
        detail = f"Too many {noun_of(unit)}. Retry in {_seconds(wait)}."
    return Rejection(decision, status, detail, wait, fields, policies.violated(decision), problem)


def _seconds(wait: int | None) -> str:
    return "1 second" if wait == 1 else f"{wait} seconds"
