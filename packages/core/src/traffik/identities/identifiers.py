"""Ready-made identifiers: functions that tell a throttle which client a request belongs to.

Clients without a valid key, token or login are limited by IP address, so leaving credentials out gains nothing. Every
identity but an address begins with the name of its kind, so identities of different kinds are never equal. Keys and
cookies are secret, so the store has a digest of them.
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
from traffik.identities.preparing import Identifier, prepare_identifier
from traffik.identities.proxies import DENIED, EXEMPTED, NETWORK_PREFIX, proxies
from traffik.identities.trust import Address, warn_of_vast_trust
from traffik.model.callables import Callback, Context, callback, then
from traffik.model.descriptions import describe
from traffik.model.errors import ConfigurationError
from traffik.model.keys import as_text, seal, sealed

if TYPE_CHECKING:
    from traffik.identities.networks import NetworksOption
    from traffik.identities.proxies import ProxiesOption

__all__ = [
    "CredentialIdentifier",
    "CredentialsOption",
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

CredentialsOption: TypeAlias = Container[str] | Callable[[str], object]
"""The type of arguments named `known`: all valid values, or a function, sync or async, that is true for a valid one."""

_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""The name of a header (RFC 9110, section 5.6.2) or of a cookie (RFC 6265, section 4.1.1)."""

_NOTHING: Final[Context] = {}
_like_everyone: WeakSet[Identifier] = WeakSet()
_denying: WeakSet[Identifier] = WeakSet()


def address(
    trusted_proxies: ProxiesOption | None = None,
    *,
    header: str = "X-Forwarded-For",
    ipv6_prefix: int = NETWORK_PREFIX,
) -> Address:
    """The address of the client: the default of a throttle, or with other proxies than those the process trusts.

    Args:
        trusted_proxies: as in `traffik.trust_proxies`; None for the proxies that the process trusts.
        header: the one header in which the proxies name the client.
        ipv6_prefix: the bits of an IPv6 address that tell clients apart, 48 to 128.

    Raises:
        ConfigurationError: an argument is none of the above, or a header or prefix is given without proxies.
    """
    if trusted_proxies is None:
        if (header, ipv6_prefix) != ("X-Forwarded-For", NETWORK_PREFIX):
            raise ConfigurationError(
                f"the setting of the process has its own header and prefix: give trusted_proxies with {header!r} "
                f"and {ipv6_prefix!r} ([] to trust no proxy)"
            )
        return Address()
    own = proxies(trusted_proxies, header, ipv6_prefix)
    warn_of_vast_trust(own)
    return Address(own)


_by_address: Final = Address()


class CredentialIdentifier:
    """An identifier by credentials. Clients without valid ones are limited by address.

    Attributes:
        find: a function of the connection and the context that returns the identity, or None for a client without valid
            credentials; sync or async.
    """

    __slots__ = ("__weakref__", "_address", "_name", "find")

    def __init__(self, name: str, find: Callable[[Any, Context], Any]) -> None:
        self._name = name
        self.find: Callable[[Any, Context], Any] = find
        self._address = Address()

    def __call__(self, connection: Any, context: Context = _NOTHING) -> object:
        who = self.find(connection, context)
        if type(who) is str:
            return who
        return then(who, lambda who: self._address(connection) if who is None else who)

    def __repr__(self) -> str:
        return self._name


def header(name: str) -> CredentialIdentifier:
    """The value of a header that a proxy in front of this service sets itself, replacing any value from the client.

    If clients can set the header, each of them can invent values and get a new quota for each: use `api_key` then.
    """
    field = _field(name)

    def find(connection: Any, _: Context) -> str | None:
        value = _only(connection, field)
        return f"header:{field}:{value}" if value else None

    return CredentialIdentifier(f"header({name!r})", find)


def api_key(name: str, known: CredentialsOption) -> CredentialIdentifier:
    """The API key in the header `name`, if it is a known one. The store has a digest of it.

    Raises:
        TypeError: `known` is neither a set of keys nor a function. A single text is not a set.
    """
    field, accepts = _field(name), _test_of(known)

    def find(connection: Any, _: Context) -> Any:
        key = _only(connection, field)
        return _digest_if(accepts, key, f"key:{field}:") if key else None

    return CredentialIdentifier(f"api_key({name!r})", find)


def cookie(name: str, known: CredentialsOption) -> CredentialIdentifier:
    """The cookie `name`, such as a session cookie, if its value is a known one. The store has a digest of it.

    Raises:
        TypeError: `known` is neither a set of values nor a function. A single text is not a set.
    """
    accepts = _test_of(known)
    if not isinstance(name, str) or not _TOKEN.fullmatch(name):
        raise TypeError(f"a cookie has a name, such as 'session', not {name!r}")

    def find(connection: Any, _: Context) -> Any:
        value = _cookie(connection, name)
        return _digest_if(accepts, value, f"cookie:{name}:") if value else None

    return CredentialIdentifier(f"cookie({name!r})", find)


def bearer(subject: Callable[[str], object]) -> CredentialIdentifier:
    """The subject of the bearer token in the header Authorization (RFC 6750).

    Args:
        subject: a function that verifies a token and returns its subject (text, an integer or a UUID), or None for an
            invalid token; sync or async.

    Raises:
        TypeError: `subject` is not a function of a token.
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
        who: a function that returns the id of the user (text, an integer or a UUID) for a connection, or None if no
            user is logged in; sync or async.

    Raises:
        TypeError: `who` is not a function of a connection.
    """
    callback("the user", who, ("connection",))
    return CredentialIdentifier("user(…)", lambda connection, _: then(who(connection), partial(_named, "user")))


def shared(_connection: object) -> str:
    """One quota for all clients together. It causes no notice."""
    return "shared"


def is_shared(identifier: Identifier) -> bool:
    """Whether it is `shared`, also if `exempt` or `deny` is around it."""
    return identifier is shared or identifier in _like_everyone


def may_deny(identifier: Identifier) -> bool:
    """Whether `deny` has made it, or a part of it. Whether a user's function may return `DENIED` is not known."""
    return identifier in _denying


def combined(*identifiers: Identifier) -> Identifier:
    """Several identifiers as one, such as an address and an API key. Different parts give different identities.

    The first identifier that returns `DENIED` or `EXEMPTED` decides.
    """
    if not identifiers:
        raise TypeError("combined takes identifiers, at least one")
    each = [prepare_identifier(identifier) for identifier in identifiers]

    def identify(connection: Any, context: Context) -> object:
        return _joined("", each, connection, context)

    return _denying_like(identify, *identifiers)


def first_of(*identifiers: Identifier) -> CredentialIdentifier:
    """The first identifier that knows the client. Your own function returns None for a client it does not know."""
    if not identifiers:
        raise TypeError("first_of takes identifiers, at least one")
    each = [
        known.find if isinstance(known, CredentialIdentifier) else prepare_identifier(known).call
        for known in identifiers
    ]

    def find(connection: Any, context: Context, place: int = 0) -> Any:
        if place == len(each):
            return None
        following = partial(find, connection, context, place + 1)
        return then(each[place](connection, context), lambda who: following() if who is None else who)

    made = CredentialIdentifier("first_of(…)", find)
    _denying_like(made, *identifiers)
    return made


def hashed(identifier: Identifier, secret: bytes | str) -> Identifier:
    """The identity as a keyed hash (BLAKE2b, 160 bits), so that the store has no personal data.

    Args:
        identifier: the identifier whose identities are hashed.
        secret: 16 bytes or more, the same in all processes that count together. With the secret, identities can be
            guessed from their hashes.

    Raises:
        ConfigurationError: the secret is shorter.
    """
    key = seal(secret)
    prepared = prepare_identifier(identifier)

    def hide(who: object) -> object:
        if who is EXEMPTED or who is DENIED or who is None:
            return who
        return sealed(as_text(who, prepared.name), key)

    def identify(connection: Any, context: Context) -> object:
        return then(prepared.call(connection, context), hide)

    return _denying_like(identify, identifier)


def exempt(given: Networks | NetworksOption, identifier: Identifier = _by_address) -> Identifier:
    """`EXEMPTED` for clients whose address is in these networks, and `identifier` for the others.

    Args:
        given: networks, as text or from `read_networks`.
        identifier: the identifier of the other clients. If it is an `address` with its own proxies, they are used for
            the networks too.
    """
    return _listed(given, EXEMPTED, identifier)


def deny(given: Networks | NetworksOption, identifier: Identifier = _by_address) -> Identifier:
    """`DENIED` for clients whose address is in these networks, and `identifier` for the others. Arguments as `exempt`.

    A denied client is refused with status 403 and a wait of `NEVER`. No store is asked.
    """
    return _listed(given, DENIED, identifier)


def read_networks(path: str | Path) -> Networks:
    """The networks in a file, one per line. From ``#`` on, a line is a comment.

    Raises:
        ConfigurationError: a line is not a network. The message has the file and the line.
        OSError: the file cannot be read.
    """
    with Path(path).open(encoding="utf-8") as lines:
        return networks_of_lines(lines, str(path))


def digest(text: str) -> str:
    """The digest of a secret that is hard to guess, for the store."""
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _listed(given: Networks | NetworksOption, answer: object, identifier: Identifier) -> Identifier:
    known = given if isinstance(given, Networks) else networks(given)
    if identifier is _by_address:
        identifier = Address()
    client = identifier if isinstance(identifier, Address) else Address()
    prepared = prepare_identifier(identifier)

    def identify(connection: Any, context: Context) -> object:
        return answer if known.holds(client.number(connection)) else prepared.call(connection, context)

    if is_shared(identifier):
        _like_everyone.add(identify)
    if answer is DENIED:
        _denying.add(identify)
    return _denying_like(identify, identifier)


def _denying_like(identify: Identifier, *parts: Identifier) -> Identifier:
    """`identify`, marked as denying clients if one of its parts denies them."""
    if any(part in _denying for part in parts):
        _denying.add(identify)
    return identify


def _joined(before: str, each: list[Callback], connection: Any, context: Context) -> object:
    """`before` and the identities, each with its length, so that different parts never give the same text."""
    if not each:
        return before

    def join(who: object) -> object:
        if who is EXEMPTED or who is DENIED:
            return who
        text = as_text(who, each[0].name)
        return _joined(f"{before}{len(text)}:{text}", each[1:], connection, context)

    return then(each[0].call(connection, context), join)


def _only(connection: Any, field: str) -> str | None:
    """The value of a header that comes once; None if it is missing, or comes several times and so is ambiguous."""
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
    if isinstance(known, str):  # every part of the text would be in it
        raise TypeError(f"known is a set of all values, or a function, not one text: give {{{known!r}}}")
    if callable(known):
        return known
    if isinstance(known, bytes | bytearray) or not isinstance(known, Container):
        raise TypeError(f"known is a set of all values, such as {{'one', 'two'}}, or a function, not {describe(known)}")
    return known.__contains__


def _digest_if(accepts: Callable[[str], object], secret: str, kind: str) -> Any:
    known = accepts(secret)
    if known is True or known is False:
        return kind + digest(secret) if known else None
    return then(known, lambda known: kind + digest(secret) if known else None)


def _named(kind: str, who: object) -> str | None:
    return None if who is None else f"{kind}:{as_text(who, f'the {kind}')}"
