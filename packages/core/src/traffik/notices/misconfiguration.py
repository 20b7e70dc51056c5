"""Signs that a limit is set up in a way that works and does not do what was meant: when a sign is clear, and its words.

Nothing here is asked by a hit that does nothing unusual. What is counted is counted in bounded memory, and without a
lock: a sign that two threads see at once may take a few more hits to be clear. `traffik.notices` says each once.
"""

from __future__ import annotations

from typing import Final

__all__ = [
    "MOST_OF_ANY",
    "MOST_OF_ONE",
    "MOST_SCOPES",
    "counted_twice",
    "defined_twice",
    "everything_trusted",
    "limit_made",
    "many_scopes",
    "misplaced_decorator",
    "nothing_fits",
    "one_identity",
    "other_distribution",
    "peer_from_header",
    "refusals_without_cors",
    "untrusted_proxy",
    "waiting_on_a_loop",
]

MOST_OF_ONE: Final = 100
"""Limits of one uid that one line may make while a store is open, without being taken for a handler."""

MOST_OF_ANY: Final = 1_000
"""The same of any uids."""

MOST_SCOPES: Final = 1_000
"""Scopes in which one limit may be hit."""

_REMEMBERED: Final = 1_024
"""Lines, and pairs of a line and a uid, that are counted; with more of them it begins anew."""

_made: dict[str | tuple[str, str], int] = {}


def nothing_fits(uid: str, cost: int, capacity: int) -> None:
    """Every hit costs more than can ever be admitted."""
    _notify(
        "cost-above-capacity",
        uid,
        f"every hit of {uid!r} costs {cost}, and its limit admits {capacity} at once at most, so that it refuses "
        f"everything: lower the cost, or raise the rate or the burst",
    )


def counted_twice(uid: str) -> None:
    """One request was counted a second time by the same throttle."""
    _notify(
        "counted-twice",
        uid,
        f"the throttle {uid!r} has counted one request more than once: hit it in one place, "
        f"and use one object where middlewares and decorators name it",
    )


def defined_twice(uid: str, places: set[str], place: str) -> None:
    """Two places define one uid differently."""
    _notify(
        "defined-twice",
        uid,
        f"{' and '.join(sorted(places | {place}))} define the uid {uid!r} differently: give one of them another uid, "
        f"unless they belong to applications with different stores",
    )


def waiting_on_a_loop(uid: str) -> None:
    """Sync code waits for a store in the thread of an event loop."""
    _notify(
        "sync-store-on-loop",
        uid,
        f"{uid!r} was used by way of .sync inside an event loop, and its store has to be waited for, so that the whole "
        f"loop waits: await the limit itself",
    )


def many_scopes(uid: str) -> None:
    """A limit is divided by a value of which there is no end."""
    _notify(
        "unbounded-scopes",
        uid,
        f"{uid!r} was hit in more than {MOST_SCOPES} scopes, each with a quota of its own: keep scopes to a few fixed "
        f"words, and say who the client is by an identifier",
    )


def misplaced_decorator(name: str, place: str) -> None:
    """A route runs the undecorated function."""
    _notify(
        "misplaced-decorator",
        place,
        f"@throttled at {place} limits nothing: the route runs the undecorated {name}, so put @throttled below the "
        f"route",
    )


def refusals_without_cors(throttles: str, cors: str) -> None:
    """Refusals do not pass through the middleware that adds the CORS header fields."""
    _notify(
        "cors-order",
        throttles,
        f"{throttles} stands outside {cors}, so its refusals have no CORS header fields, and the code of a web page "
        f"cannot read them: put {cors} outside {throttles}",
    )


def peer_from_header(header: str) -> None:
    """The server has replaced the address of the other end by one from a header."""
    _notify(
        "server-trusts-proxies",
        header,
        f"the server takes the client's address from {header}, as uvicorn does for every request from 127.0.0.1: "
        f"without a proxy that sets it, any client can choose its address and so escape its limits; run "
        f"uvicorn --no-proxy-headers, and name your proxies with traffik.trust_proxies",
    )


def untrusted_proxy(header: str) -> None:
    """A forwarding header arrives, and nobody is trusted to write it."""
    _notify(
        "untrusted-proxy",
        header,
        f"a request came with the header {header} and no proxy is trusted: if one stands in front, all its clients "
        f"share one quota until you name it with traffik.trust_proxies",
    )


def everything_trusted(header: str) -> None:
    """Whoever writes a forwarding header is believed."""
    _notify(
        "everything-trusted",
        header,
        f"the trusted proxies are half of all addresses and more, so that any client can write another's address into "
        f"{header} and be counted as that: name the networks of your proxies",
    )


def one_identity(uid: str, identifier: str, clients: int) -> None:
    """An identifier does not tell clients apart."""
    _notify(
        "one-identity",
        uid,
        f"{identifier} of the throttle {uid!r} has answered the same for {clients} clients, which share one quota: let "
        f"it tell them apart, or say that you want this with traffik.identities.shared",
    )


def other_distribution() -> None:
    """Warn if the older project named traffik is installed, whose files and ours overwrite each other."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        found = version("traffik")
    except PackageNotFoundError:
        return
    _notify(
        "other-distribution",
        found,
        f"another project, traffik {found}, is installed beside traffik-core, and overwrites its files: "
        f"pip uninstall traffik traffik-core, then pip install traffik-core",
    )


def limit_made(uid: str, place: str) -> None:
    """Count a limit that the line `place` has made while a store was open.

    Before that an application is still being set up, whatever it makes in loops and factories. After that, a line which
    makes many is most likely in a handler.
    """
    if len(_made) >= _REMEMBERED:
        _made.clear()
    for what, most in (((place, uid), MOST_OF_ONE), (place, MOST_OF_ANY)):
        count = _made[what] = _made.get(what, 0) + 1
        if count == most + 1:
            _notify(
                "throttle-in-handler",
                place,
                f"{place} has made more than {most} limits since a store was opened, the latest of them {uid!r}: make "
                f"each once, at the top of a module",
            )


def _notify(notice: str, about: str, sentence: str) -> None:
    from traffik import notices  # here, since most programs never need the log

    notices.notify(notice, about, sentence)
