"""The notices about limits whose setup works but does not do what was meant: their sentences, and when they are due.

A usual hit calls nothing here. Counts are kept in bounded memory and without a lock, so with several threads a notice
may come a few hits later. `traffik.notices` logs each notice once.
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
    "slot_lost",
    "unknown_route",
    "unknown_tier",
    "untrusted_proxy",
    "waiting_on_a_loop",
]

MOST_OF_ONE: Final = 100
"""Limits of one uid that one line may make while a store is open. A line that makes more is taken for a handler."""

MOST_OF_ANY: Final = 1_000
"""The same for limits of any uids."""

MOST_SCOPES: Final = 1_000
"""Scopes in which one limit may be hit before a notice is due."""

_REMEMBERED: Final = 1_024
"""Lines, and pairs of a line and a uid, that are counted. With more of them, counting starts again."""

_made: dict[str | tuple[str, str], int] = {}


def nothing_fits(uid: str, cost: int, capacity: int) -> None:
    """Every hit costs more than the limit can ever admit."""
    _notify(
        "cost-above-capacity",
        uid,
        f"every hit of {uid!r} costs {cost}, and its limit admits {capacity} at once at most, so it refuses "
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
        f"{uid!r} was used through .sync inside an event loop, so the whole loop waits for its store: await the limit "
        f"itself",
    )


def slot_lost(uid: str) -> None:
    """The lease of a slot has ended while its work was running."""
    _notify(
        "slot-lost",
        uid,
        f"a slot of {uid!r} was lost while its work was running, so more may run at once than {uid!r} allows: make the "
        f"lease longer than the store or the event loop can be blocked, and see on_lost=",
    )


def unknown_route(uid: str, route: str, similar: list[str]) -> None:
    """A rule names a route that the application does not have."""
    hint = f" ({' or '.join(map(repr, similar))}?)" if similar else ""
    _notify(
        "unknown-route",
        uid,
        f"a rule of {uid!r} is for the route {route!r}, which the application does not have, so it matches no request: "
        f"write the route as you gave it to the framework{hint}",
    )


def unknown_tier(function: str, given: str, known: str, default: str) -> None:
    """A tier function has returned a name that is not in its table."""
    _notify(
        "unknown-tier",
        function,
        f"{function} has returned {given}, which is not one of the tiers {known}, so the default {default!r} counts: "
        f"add it to the tiers, or return None for the default",
    )


def many_scopes(uid: str) -> None:
    """A limit is divided by a value that has no bound."""
    _notify(
        "unbounded-scopes",
        uid,
        f"{uid!r} was hit in more than {MOST_SCOPES} scopes, each with its own quota: use a few fixed words as "
        f"scopes, and an identifier to tell clients apart",
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
        f"{throttles} is outside {cors}, so its refusals have no CORS header fields, and scripts of a web page cannot "
        f"read them: put {cors} outside {throttles}",
    )


def peer_from_header(header: str) -> None:
    """The server has replaced the peer's address with one from a header."""
    _notify(
        "server-trusts-proxies",
        header,
        f"the server takes the client's address from {header}, as uvicorn does for every request from 127.0.0.1: "
        f"without a proxy that sets it, any client can choose its address and escape its limits; run "
        f"uvicorn --no-proxy-headers, and name your proxies with traffik.trust_proxies",
    )


def untrusted_proxy(header: str) -> None:
    """A request has a forwarding header, and no proxy is trusted."""
    _notify(
        "untrusted-proxy",
        header,
        f"a request came with the header {header} and no proxy is trusted: if a proxy is in front of this server, all "
        f"its clients share one quota until you name the proxy with traffik.trust_proxies",
    )


def everything_trusted(header: str) -> None:
    """Every client is trusted to write the forwarding header."""
    _notify(
        "everything-trusted",
        header,
        f"half of all addresses or more are trusted proxies, so any client can write another address into {header} and "
        f"use its quota: name only the networks of your proxies",
    )


def one_identity(uid: str, identifier: str, clients: int) -> None:
    """An identifier does not tell clients apart."""
    _notify(
        "one-identity",
        uid,
        f"{identifier} of the throttle {uid!r} has returned the same for {clients} clients, so they share one quota: "
        f"make it tell them apart, or use traffik.identities.shared if you want one quota for all",
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
        f"another project, traffik {found}, is installed beside traffik-core and overwrites its files: "
        f"pip uninstall traffik traffik-core, then pip install traffik-core",
    )


def limit_made(uid: str, place: str) -> None:
    """Count a limit that the line `place` has made while a store was open.

    Before a store opens, the application is being set up and may make limits in loops and factories. Afterwards, a line
    that makes many limits is most likely in a handler.
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
                f"each limit once, at the top of a module",
            )


def _notify(notice: str, about: str, sentence: str) -> None:
    from traffik import notices  # here, since most programs never need the log

    notices.notify(notice, about, sentence)
