"""Who may read the live page, and who may act on it.

A token comes as ``Authorization: Bearer`` or, after the form, in a cookie that holds a hash of it. Requests that change
something also need the value of a second cookie in a header field, and must not have a foreign origin: another site can
make a browser send cookies, but can neither read them nor change the origin.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from hashlib import blake2b
from hmac import compare_digest
from inspect import isawaitable
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TypeAlias
from urllib.parse import urlsplit

from traffik.model.descriptions import describe
from traffik.model.errors import ConfigurationError

if TYPE_CHECKING:
    from traffik.live.messages import LiveRequest

__all__ = ["CSRF_FIELD", "Access", "Authorize", "Grant", "Permission", "WaitFor", "same_origin", "set_cookie"]

Permission: TypeAlias = Literal["read", "act"] | None
"""Whether a request may read, or also act; None for neither."""

_Answer: TypeAlias = Permission | tuple[Permission, str]
"""A permission, perhaps with the name of the person who has it."""

Authorize: TypeAlias = Callable[[Any], _Answer | Awaitable[_Answer]]
"""A function of the framework's request, sync or async."""

WaitFor: TypeAlias = Callable[[Awaitable[Any]], Any]
"""How sync code waits for an async `authorize`."""

CSRF_FIELD: Final = "x-traffik-csrf"
"""The header field of requests that change something."""

_SESSION: Final = "traffik_live"
_CSRF: Final = "traffik_live_csrf"
_LEAST: Final = 16


class Grant(NamedTuple):
    """What a request may do, and for whom.

    Attributes:
        permission: the permission.
        by: the name that `authorize` gave with it, or the name of the option with the token.
    """

    permission: Permission
    by: str = ""


class Access:
    """The rules of access.

    Args:
        token: lets its holder read.
        act_token: lets its holder read and act.
        authorize: the application's own rules.

    Raises:
        ConfigurationError: none of these is given, or a token is short.
        TypeError: one is something else.
    """

    def __init__(self, token: str | None, act_token: str | None, authorize: Authorize | None) -> None:
        if token is None and act_token is None and authorize is None:
            raise ConfigurationError(
                "the live page is closed until you say who may read it: give token=…, such as "
                "secrets.token_urlsafe(), or authorize=…, a function of a request that returns None, 'read' or 'act'"
            )
        for name, each in (("token", token), ("act_token", act_token)):
            if each is not None and (not isinstance(each, str) or len(each) < _LEAST):
                raise ConfigurationError(f"{name} is text of {_LEAST} characters or more")
        if token is not None and token == act_token:
            raise ConfigurationError("token and act_token are equal: leave token out, since act_token lets read too")
        if authorize is not None and not callable(authorize):
            raise TypeError(f"authorize is a function of a request, not {describe(authorize)}")
        self._authorize = authorize
        grants = ((token, Grant("read", "token")), (act_token, Grant("act", "act_token")))
        self._tokens = [(each, grant) for each, grant in grants if each is not None]

    @property
    def has_form(self) -> bool:
        """Whether a token can be typed into a form."""
        return bool(self._tokens)

    async def grant(self, request: LiveRequest, wait: WaitFor | None) -> Grant:
        """What a request may do.

        Raises:
            TypeError: `authorize` returned something else than None, ``"read"``, ``"act"``, or one of these and a name.
        """
        found = self._of_token(request)
        if found.permission is not None or self._authorize is None:
            return found
        answer: Any = self._authorize(request.native)
        if isawaitable(answer):
            answer = await answer if wait is None else wait(answer)
        permission, by = answer if isinstance(answer, tuple) and len(answer) == 2 else (answer, "")
        if permission not in {None, "read", "act"} or not isinstance(by, str):
            raise TypeError(f"authorize returns None, 'read' or 'act', or one of these and a name, not {answer!r}")
        return Grant(permission, by)

    def session_for(self, token: str) -> str | None:
        """The cookie for a token that was typed into the form; None if it is wrong."""
        found = None
        for known, _ in self._tokens:
            if _equal(token, known):
                found = _hashed(known)
        return found

    def is_own_request(self, request: LiveRequest) -> bool:
        """Whether a request that changes something comes from the page itself, or from a program with a token."""
        if _bearer(request):
            return True
        csrf = request.cookie(_CSRF)
        return bool(csrf) and _equal(request.headers.get(CSRF_FIELD, ""), csrf) and same_origin(request)

    def csrf_of(self, request: LiveRequest) -> tuple[str, tuple[tuple[str, str], ...]]:
        """The value that the page sends back, and the header field that sets its cookie if it has none."""
        found = request.cookie(_CSRF)
        if found:
            return found, ()
        made = secrets.token_urlsafe(16)
        return made, (set_cookie(_CSRF, made, request.secure),)

    def session_cookie(self, value: str, request: LiveRequest) -> tuple[str, str]:
        """The header field that sets the cookie of a session; an empty value ends it."""
        return set_cookie(_SESSION, value, request.secure)

    def _of_token(self, request: LiveRequest) -> Grant:
        bearer, session = _bearer(request), request.cookie(_SESSION)
        found = Grant(None)
        for known, grant in self._tokens:  # each is compared, so that the time gives nothing away
            if _equal(bearer, known) | _equal(session, _hashed(known)):
                found = grant
        return found


def same_origin(request: LiveRequest) -> bool:
    """Whether the request comes from this site according to the browser, or the browser sends no origin."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:  # also right behind a proxy that changes the host
        return site in {"same-origin", "none"}
    origin = request.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == request.headers.get("host")


def set_cookie(name: str, value: str, secure: bool) -> tuple[str, str]:
    """The header field that sets a cookie. Without a path, browsers send it only to where the page is mounted."""
    end = "" if value else "; Max-Age=0"
    return "Set-Cookie", f"{name}={value}; HttpOnly; SameSite=Strict{end}{'; Secure' if secure else ''}"


def _bearer(request: LiveRequest) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _hashed(token: str) -> str:
    return blake2b(token.encode(), person=b"traffik-live", digest_size=24).hexdigest()


def _equal(one: str, other: str) -> bool:
    return compare_digest(one.encode("utf-8", "replace"), other.encode("utf-8", "replace"))
