"""What a refused connection is answered, as plain data that every adapter sends in its framework's own way."""

from __future__ import annotations

from dataclasses import dataclass

from traffik.decisions import FORBIDDEN, UNAVAILABLE, Decision
from traffik.headers import Policies, retry_after

__all__ = ["Rejection", "reject"]


@dataclass(frozen=True, slots=True)
class Rejection:
    """What is answered to a refused connection.

    Attributes:
        decision: the refusal.
        status: the HTTP status: 429; 503 where the store is away and nobody can say; 403 for a client that is denied.
        detail: one sentence for the client.
        retry_after: seconds until the same cost is admitted, rounded up; None if it never will be.
        headers: header fields by name and value.
    """

    decision: Decision
    status: int
    detail: str
    retry_after: int | None
    headers: tuple[tuple[str, str], ...]

    @property
    def body(self) -> dict[str, object]:
        """The body of an HTTP answer, as JSON has it."""
        return {"detail": self.detail}

    @property
    def message(self) -> dict[str, object]:
        """What an accepted WebSocket is sent, as JSON has it."""
        return {"type": "rate_limit", "error": self.detail, "retry_after": self.retry_after}


def reject(decision: Decision, policies: Policies) -> Rejection:
    """The rejection that belongs to a refused decision."""
    if decision.degraded == FORBIDDEN:
        return Rejection(decision, 403, "This client is not served.", None, ())
    wait = retry_after(decision)
    fields = tuple(policies.headers(decision))
    if decision.degraded == UNAVAILABLE:
        return Rejection(decision, 503, f"The rate limiter is unavailable. Retry in {wait} seconds.", wait, fields)
    if wait is None:
        detail = f"Too many requests. This one costs more than the limit of {decision.limit} can ever admit."
    else:
        detail = f"Too many requests. Retry in {wait} seconds."
    return Rejection(decision, 429, detail, wait, fields)
