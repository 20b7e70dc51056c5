"""The errors of traffik.

TraffikError
├── ConfigurationError         something is set up in a way that cannot work; the message says how to fix it
│   ├── RateError              (also a ValueError) not a rate, or a rate this strategy cannot count exactly
│   ├── DuplicateUidError      (also a ValueError) one uid, two different limits in one store
│   ├── AdapterNotFoundError   (also a TypeError) no adapter knows this kind of connection
│   └── BackendNotFoundError   (also a LookupError) a throttle without a store has none or several to choose from
├── BackendError               a store did not answer, or answered with an error; says whether it may have counted
│   └── BackendTimeoutError    (also a TimeoutError) it did not answer by the deadline
├── SlotLostError              a slot was lost while its work ran, and `on_lost="cancel"` has cancelled the work
├── WaitTimeoutError           (also a TimeoutError) `wait` would take longer than its timeout
├── NeverAdmittedError         (also a ValueError) no `wait` helps: the cost is too large, or the client denied
└── Throttled                  a refused connection, with its response

The last three have a decision. They are in `traffik.limits.waiting` and `traffik.responses.rejections`.
"""

from __future__ import annotations

__all__ = [
    "AdapterNotFoundError",
    "BackendError",
    "BackendNotFoundError",
    "BackendTimeoutError",
    "ConfigurationError",
    "DuplicateUidError",
    "RateError",
    "SlotLostError",
    "TraffikError",
]


class TraffikError(Exception):
    """The base class of every error of this library."""


class ConfigurationError(TraffikError):
    """Something is set up in a way that cannot work."""


class RateError(ConfigurationError, ValueError):
    """Not a rate, or one that a strategy cannot count exactly."""


class DuplicateUidError(ConfigurationError, ValueError):
    """Two different limits have the same uid in one store, so they would share their quota."""


class AdapterNotFoundError(ConfigurationError, TypeError):
    """No adapter knows this kind of connection."""


class BackendNotFoundError(ConfigurationError, LookupError):
    """A throttle has no `backend`, and no store is open, or it is unclear which one to use."""


class BackendError(TraffikError):
    """A store did not answer, or answered with an error.

    Attributes:
        maybe_executed: whether the store may have executed the request in spite of the error.
    """

    def __init__(self, message: str, *, maybe_executed: bool = False) -> None:
        super().__init__(message)
        self.maybe_executed = maybe_executed


class BackendTimeoutError(BackendError, TimeoutError):
    """A store did not answer by the deadline."""


class SlotLostError(TraffikError):
    """A slot was lost while its work was running, and the work has been cancelled."""
