"""The client of a logged request: the peer of the connection, or the client that trusted proxies noted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from traffik.identities.forwarding import hops
from traffik.identities.proxies import NETWORK_PREFIX, Proxies
from traffik_cli.replay.addresses import NO_ADDRESS, PRIVATE, address_in
from traffik_cli.replay.records import NOTHING, text_of

__all__ = ["PRIVATE_PROXIES", "Clients"]

_MOST: Final = 100_000
_PLAIN: Final = b"0123456789.\n"

PRIVATE_PROXIES: Final = Proxies(PRIVATE, "x-forwarded-for", NETWORK_PREFIX)
"""Trust in every address that is not used on the internet."""


@dataclass(slots=True)
class Clients:
    """Finds clients, and remembers them: the same text means the same client.

    Args:
        proxies: whom to trust; None to read the peer alone.
    """

    proxies: Proxies | None
    _known: dict[Any, bytes | None] = field(default_factory=dict)

    def keys(self, peers: Sequence[Any]) -> list[bytes | None]:
        """The keys of clients that are the peers of their connections."""
        try:
            joined = b"\n".join(peers) if peers and isinstance(peers[0], bytes) else "\n".join(peers).encode()
        except (TypeError, UnicodeEncodeError):  # one of them is no text
            return list(map(self.key, peers))
        found: list[bytes | None] = list(joined.split(b"\n"))
        if len(found) != len(peers):  # a line break inside of one
            return list(map(self.key, peers))
        # What consists of digits and dots is its own key, as nearly all addresses are.
        if joined.translate(None, _PLAIN) or not all(found):
            for place, key in enumerate(found):
                if not key or key.translate(None, _PLAIN):
                    found[place] = self.key(peers[place])
        return found

    def key(self, peer: Any, forwarded: Any = None) -> bytes | None:
        """The client's address as a key, without port and brackets; None if the log says none."""
        pair = peer if forwarded is None else (peer, forwarded)
        try:
            found = self._known.get(pair)
        except TypeError:  # a list of JSON, or an object, which is no address
            return None if isinstance(peer, dict) or isinstance(forwarded, dict) else self._listed(peer, forwarded)
        return self._new(pair, peer, forwarded) if found is None else found

    def _new(self, pair: Any, peer: Any, forwarded: Any) -> bytes | None:
        """The key of a client that is not known."""
        if len(self._known) >= _MOST:
            self._known.clear()
        found = self._found(peer, forwarded)
        self._known[pair] = found
        return found

    def _listed(self, peer: Any, forwarded: Any) -> bytes | None:
        texts = (_text(each) if isinstance(each, list) else each for each in (peer, forwarded))
        return self.key(*texts)

    def _found(self, peer: Any, forwarded: Any) -> bytes | None:
        text = None if peer in NOTHING else text_of(peer).strip()
        proxies = self.proxies
        if text and "," in text:  # a list in the place of the address: the header itself
            forwarded, text, proxies = text, None, proxies or PRIVATE_PROXIES
        if proxies is not None and forwarded not in NOTHING:
            text = _through(proxies, text, text_of(forwarded)) or text
        if not text or text.lower() in NO_ADDRESS:
            return None
        return (address_in(text) or text).encode("utf-8", "surrogatepass")


def _text(listed: list[Any]) -> str:
    """The lines of a header; the host of a pair of host and port, as Python has the peer of a connection."""
    return text_of(listed[0] if len(listed) == 2 and isinstance(listed[1], int) else listed)


def _through(proxies: Proxies, peer: str | None, header: str) -> str | None:
    """The client behind proxies. Without a peer the last hop of the header stands for it."""
    name = "forwarded" if "for=" in header.lower() else proxies.header
    trust = Proxies(proxies.trusted, name, proxies.ipv6_prefix)
    address = None if peer is None else address_in(peer)
    if address is None and not isinstance(proxies.trusted, int):
        address = next(hops([header], name), None)
    return trust.client(address, [header])
