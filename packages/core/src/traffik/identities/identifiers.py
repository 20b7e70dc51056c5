"""Whose quota it is, ready to use: each of these is an identifier for a throttle, or makes one.

A client that an identifier does not know (no key, an unknown one, nobody logged in) is counted by its address, so that
nothing is gained by staying unknown. Kinds do not meet: every identity but an address begins with the word for its
kind. What is secret in itself (a key, a cookie) stands in the store as a digest.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from weakref import WeakSet

from traffik.adapters import adapter_of
from traffik.identities.networks import Networks, networks, networks_of_lines
from traffik.identities.proxies import DENIED, EXEMPTED, NETWORK_PREFIX, proxies
from traffik.identities.trust import Address, warn_of_vast_trust
from traffik.model.callables import Callback, Context, callback, then
from traffik.model.errors import ConfigurationError
from traffik.model.keys import as_text, seal, sealed

if TYPE_CHECKING:
    from traffik.identities.networks import NetworksOption
    from traffik.identities.proxies import ProxiesOption

__all__ = [
    "CredentialIdentifier",
    "CredentialsOption",
    "Identifier",
    "address",
    "api_key",
    "bearer",
    "combined",
    "cookie",
    "deny",
    "digest",
    "exempt",
    "first_of",
    "hashed",
    "header",
    "is_shared",
    "may_deny",
    "read_networks",
    "shared",
    "user",
]

Identifier: TypeAlias = Callable[..., object]
"""A function of the connection (and the context), sync or async, as a throttle takes it."""

CredentialsOption: TypeAlias = Container[str] | Callable[[str], object]
"""What an argument named `known` takes: all there are, or a function, sync or async, that is true for one."""

_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""A name of a header (RFC 9110, section 5.6.2) or of a cookie (RFC 6265, section 4.1.1)."""

_NOTHING: Final[Context] = {}
_like_everyone: WeakSet[Identifier] = WeakSet()
_denying: WeakSet[Identifier] = WeakSet()


def address(
    trusted_proxies: ProxiesOption | None = None,
    *,
    header: str = "X-Forwarded-For",
    ipv6_prefix: int = NETWORK_PREFIX,
) -> Address:
    """The address of the client, as a throttle without an identifier finds it; or with proxies of this throttle's own.

    Args:
        trusted_proxies: as in `traffik.trust_proxies`; None for what the process trusts.
        header: the one header in which they say whom they speak for.
        ipv6_prefix: the bits of an IPv6 address that tell clients apart, 48 to 128.

    Raises:
        ConfigurationError: an argument is none of the above, or a header or prefix is given without proxies.
    """
    if trusted_proxies is None:
        if (header, ipv6_prefix) != ("X-Forwarded-For", NETWORK_PREFIX):
            raise ConfigurationError(
                f"what the process trusts has a header and a prefix of its own: give trusted_proxies with {header!r} "
                f"and {ipv6_prefix!r} ([] to trust nobody)"
            )
        return Address()
    own = proxies(trusted_proxies, header, ipv6_prefix)
    warn_of_vast_trust(own)
    return Address(own)


_by_address: Final = Address()


class CredentialIdentifier:
    """An identifier that knows some clients; the others are counted by address.

    Attributes:
        find: what is asked, with the connection and the context: the identity, or None for one that is not known; it
            may have to be awaited.
    """

    __slots__ = ("__weakref__", "_address", "_name", "find")

    def __init__(self, name: str, find: Callable[[Any, Context], Any]) -> None:
        self._name = name
        self.find = find
        self._address = Address()

    def __call__(self, connection: Any, context: Context = _NOTHING) -> object:
        who = self.find(connection, context)
        if type(who) is str:
            return who
        return then(who, lambda who: self._address(connection) if who is None else who)

    def __repr__(self) -> str:
        return self._name


def header(name: str) -> CredentialIdentifier:
    """The value of a header that a proxy in front of this service sets itself, whatever the client has sent.

    A header that clients can set lets each have as many quotas as it can make up values: use `api_key` for those.
    """
    field = _field(name)

    def find(connection: Any, _: Context) -> str | None:
        value = _only(connection, field)
        return f"header:{field}:{value}" if value else None

    return CredentialIdentifier(f"header({name!r})", find)


def api_key(name: str, known: CredentialsOption) -> CredentialIdentifier:
    """The API key in the header `name`, if it is a known one; it stands in the store as a digest.

    Raises:
        TypeError: `known` is neither a set of keys nor a function; one text is no set.
    """
    field, accepts = _field(name), _test_of(known)

    def find(connection: Any, _: Context) -> Any:
        key = _only(connection, field)
        return _digest_if(accepts, key, f"key:{field}:") if key else None

    return CredentialIdentifier(f"api_key({name!r})", find)


def cookie(name: str, known: CredentialsOption) -> CredentialIdentifier:
    """The cookie `name`, such as that of a session, if its value is a known one; it stands in the store as a digest.

    Raises:
        TypeError: `known` is neither a set of values nor a function; one text is no set.
    """
    accepts = _test_of(known)
    if not isinstance(name, str) or not _TOKEN.fullmatch(name):
        raise TypeError(f"a cookie has a name, such as 'session', not {name!r}")

    def find(connection: Any, _: Context) -> Any:
        value = _cookie(connection, name)
        return _digest_if(accepts, value, f"cookie:{name}:") if value else None

    return CredentialIdentifier(f"cookie({name!r})", find)


def bearer(subject: Callable[[str], object]) -> CredentialIdentifier:
    """The subject of a bearer token, as RFC 6750 has it in the header Authorization.

    Args:
        subject: verifies a token, and answers whose it is (text, an integer or a UUID) or None; sync or async.

    Raises:
        TypeError: it is no function of a token.
    """
    callback("the subject of a bearer token", subject, ("token",))

    def find(connection: Any, _: Context) -> Any:
        scheme, space, token = (_only(connection, "authorization") or "").partition(" ")
        if scheme.lower() != "bearer" or not space:
            return None
        return then(subject(token.strip()), partial(_named, "bearer"))

    return CredentialIdentifier("bearer(…)", find)


def user(who: Callable[[Any], object]) -> CredentialIdentifier:
    """The user who is logged in.

    Args:
        who: answers their id (text, an integer or a UUID) for a connection, or None for nobody; sync or async.

    Raises:
        TypeError: it is no function of a connection.
    """
    callback("the user", who, ("connection",))
    return CredentialIdentifier("user(…)", lambda connection, _: then(who(connection), partial(_named, "user")))


def shared(_connection: object) -> str:
    """One quota for all clients together. No notice is made of it."""
    return "shared"


def is_shared(identifier: Identifier) -> bool:
    """Whether it is `shared`, for all but those on a list too."""
    return identifier is shared or identifier in _like_everyone


def may_deny(identifier: Identifier) -> bool:
    """Whether `deny` has made it, or a part of it. What a function of the user's answers is not known before."""
    return identifier in _denying


def combined(*identifiers: Identifier) -> Identifier:
    """All of them as one identity, such as an address and an API key; different parts never make the same whole.

    If one of them answers `DENIED` or `EXEMPTED`, the first that does decides.
    """
    if not identifiers:
        raise TypeError("combined takes identifiers, at least one")
    each = [_prepared(identifier) for identifier in identifiers]

    def identify(connection: Any, context: Context) -> object:
        return _joined("", each, connection, context)

    return _denying_like(identify, *identifiers)


def first_of(*identifiers: Identifier) -> CredentialIdentifier:
    """The first of them that knows the client: that does not answer None, for a function of your own."""
    if not identifiers:
        raise TypeError("first_of takes identifiers, at least one")
    each = [known.find if isinstance(known, CredentialIdentifier) else _prepared(known).call for known in identifiers]

    def find(connection: Any, context: Context, place: int = 0) -> Any:
        if place == len(each):
            return None
        following = partial(find, connection, context, place + 1)
        return then(each[place](connection, context), lambda who: following() if who is None else who)

    return CredentialIdentifier("first_of(…)", find)


def hashed(identifier: Identifier, secret: bytes | str) -> Identifier:
    """What `identifier` answers as a keyed hash (BLAKE2b, 160 bits), so that no data of persons reaches the store.

    Args:
        identifier: whose answers are to be hidden.
        secret: 16 bytes or more, the same in all processes that count together; who has it can try identities out.

    Raises:
        ConfigurationError: the secret is shorter.
    """
    key = seal(secret)
    prepared = _prepared(identifier)

    def hide(who: object) -> object:
        if who is EXEMPTED or who is DENIED or who is None:
            return who
        return sealed(as_text(who, prepared.name), key)

    def identify(connection: Any, context: Context) -> object:
        return then(prepared.call(connection, context), hide)

    return _denying_like(identify, identifier)


def exempt(given: Networks | NetworksOption, identifier: Identifier = _by_address) -> Identifier:
    """`identifier`, but `EXEMPTED` for clients whose address is in these networks.

    Args:
        given: networks, as text or of `read_networks`.
        identifier: whose quota it is for the others. If it is an `address` with proxies of its own, those are asked.
    """
    return _listed(given, EXEMPTED, identifier)


def deny(given: Networks | NetworksOption, identifier: Identifier = _by_address) -> Identifier:
    """`identifier`, but `DENIED` for clients whose address is in these networks; arguments as of `exempt`.

    A denied client is refused with status 403 and a wait of `NEVER`; no store is asked.
    """
    return _listed(given, DENIED, identifier)


def read_networks(path: str | Path) -> Networks:
    """The networks in a file, one a line; from ``#`` on a line is a comment.

    Raises:
        ConfigurationError: a line is no network; the message has the file and the line.
        OSError: the file cannot be read.
    """
    with Path(path).open(encoding="utf-8") as lines:
        return networks_of_lines(lines, str(path))


def digest(text: str) -> str:
    """A secret that is hard to guess, as it may stand in a store."""
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _prepared(identifier: Identifier) -> Callback:
    return callback("the identifier", identifier, ("connection", "context"))


def _listed(given: Networks | NetworksOption, answer: object, identifier: Identifier) -> Identifier:
    known = given if isinstance(given, Networks) else networks(given)
    if identifier is _by_address:
        identifier = Address()
    client = identifier if isinstance(identifier, Address) else Address()
    prepared = _prepared(identifier)

    def identify(connection: Any, context: Context) -> object:
        return answer if known.holds(client.number(connection)) else prepared.call(connection, context)

    if is_shared(identifier):
        _like_everyone.add(identify)
    if answer is DENIED:
        _denying.add(identify)
    return _denying_like(identify, identifier)


def _denying_like(identify: Identifier, *parts: Identifier) -> Identifier:
    """`identify`, known to deny clients if one of its parts is."""
    if any(part in _denying for part in parts):
        _denying.add(identify)
    return identify


def _joined(before: str, each: list[Callback], connection: Any, context: Context) -> object:
    """`before` and what the identifiers answer, each with its length, which makes the whole injective."""
    if not each:
        return before

    def join(who: object) -> object:
        if who is EXEMPTED or who is DENIED:
            return who
        text = as_text(who, each[0].name)
        return _joined(f"{before}{len(text)}:{text}", each[1:], connection, context)

    return then(each[0].call(connection, context), join)


def _only(connection: Any, field: str) -> str | None:
    """The value of a header that comes once; None if it does not, for nobody can tell then which is meant."""
    lines = adapter_of(connection).headers(connection, field)
    return lines[0].strip() if len(lines) == 1 else None


def _cookie(connection: Any, name: str) -> str | None:
    """The first cookie of that name (RFC 6265, section 4.2.1)."""
    for line in adapter_of(connection).headers(connection, "cookie"):
        for pair in line.split(";"):
            found, equals, value = pair.strip().partition("=")
            if equals and found == name:
                return value.strip('"')
    return None


def _field(name: object) -> str:
    """The name of a header, in lower case."""
    if not isinstance(name, str) or not _TOKEN.fullmatch(name):
        raise TypeError(f"a header has a name, such as 'X-API-Key', not {name!r}")
    return name.lower()


def _test_of(known: CredentialsOption) -> Callable[[str], object]:
    if isinstance(known, str):  # in which every part of it would be a known one
        raise TypeError(f"known is a set of all there are, or a function, not one text: give {{{known!r}}}")
    if callable(known):
        return known
    if isinstance(known, bytes | bytearray) or not isinstance(known, Container):
        raise TypeError(f"known is a set of all there are, such as {{'one', 'two'}}, or a function, not {known!r}")
    return known.__contains__


def _digest_if(accepts: Callable[[str], object], secret: str, kind: str) -> Any:
    known = accepts(secret)
    if known is True or known is False:
        return kind + digest(secret) if known else None
    return then(known, lambda known: kind + digest(secret) if known else None)


def _named(kind: str, who: object) -> str | None:
    return None if who is None else f"{kind}:{as_text(who, f'the {kind}')}"
