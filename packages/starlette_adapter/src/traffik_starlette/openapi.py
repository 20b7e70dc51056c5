"""Adds throttled routes to FastAPI's OpenAPI document: the response 429 with its headers and body.

FastAPI is imported only if the application is a FastAPI one.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from traffik.backends import binding
from traffik.identities import may_deny
from traffik.model.descriptions import describe
from traffik.model.errors import BackendNotFoundError
from traffik.responses.negotiation import JSON, PROBLEM
from traffik.responses.rejections import QUOTA_EXCEEDED, REDUCED_CAPACITY
from traffik.throttles import Throttle
from traffik.throttles.all_of import AllOf
from traffik_starlette.answers import answer_throttled
from traffik_starlette.errors import Throttled
from traffik_starlette.middleware import ThrottleMiddleware
from traffik_starlette.uploads import UploadMiddleware

if TYPE_CHECKING:
    from fastapi import FastAPI

__all__ = ["document_throttles"]

_PROBLEM: Final = "ThrottleProblem"
_SCHEMA: Final[dict[str, Any]] = {
    "title": _PROBLEM,
    "description": "A refusal by a rate limit (RFC 9457).",
    "type": "object",
    "properties": {
        "type": {"type": "string", "format": "uri", "enum": [QUOTA_EXCEEDED, REDUCED_CAPACITY]},
        "title": {"type": "string"},
        "status": {"type": "integer", "enum": [403, 429, 503]},
        "detail": {"type": "string"},
        "violated-policies": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["title", "status", "detail"],
}
_DETAIL: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {"detail": {"type": "string"}},
    "required": ["detail"],
}
_WITH_BODY: Final = frozenset({"DELETE", "PATCH", "POST", "PUT"})
"""The methods of requests whose bodies an upload limit counts."""

_WAIT: Final = {"description": "Seconds to wait; absent if waiting does not help.", "schema": {"type": "integer"}}
_FIELDS: Final[dict[object, dict[str, Any]]] = {
    "draft-11": {
        "RateLimit-Policy": {"description": "The policies: quota and seconds.", "schema": {"type": "string"}},
        "RateLimit": {
            "description": "The quota left, and the seconds until more is available.",
            "schema": {"type": "string"},
        },
    },
    "draft-06": {f"RateLimit-{part}": {"schema": {"type": "integer"}} for part in ("Limit", "Remaining", "Reset")},
    "x-ratelimit": {f"X-RateLimit-{part}": {"schema": {"type": "integer"}} for part in ("Limit", "Remaining", "Reset")},
}


def document_throttles(app: FastAPI) -> None:
    """Add the responses of throttles to the OpenAPI document of `app`, for dependencies, decorators and middlewares.

    Each throttled route gets a response 429 with its headers and body. It also gets 503 if its throttle's store may
    refuse while it does not answer (``on_error="throttle"``, or a function), and 403 if the identifier comes from
    `traffik.identities.deny`. A throttle with rules counts for the routes that its rules can match, and
    one of `UploadMiddleware` for methods whose requests have a body. The route's own
    descriptions of these statuses are kept. Throttles that an endpoint hits itself, and clients that your own function
    denies, are not found. Mounted applications have their own documents.

    Raises:
        TypeError: `app` is not a FastAPI application.
    """
    if not hasattr(app, "openapi"):
        raise TypeError(f"only FastAPI has an OpenAPI document, not {describe(app)}")
    document = app.openapi
    done: list[dict[str, Any]] = []

    def openapi() -> dict[str, Any]:
        schema = document()
        if not done or done[0] is not schema:  # FastAPI caches it until a route is added
            _extend(app, schema)
            done[:] = [schema]
        return schema

    setattr(app, "openapi", openapi)  # noqa: B010 - FastAPI's own way to extend it, which no type checker likes


def _extend(app: FastAPI, schema: dict[str, Any]) -> None:
    middleware = [throttle for throttle in _of_middleware(app, ThrottleMiddleware) if not throttle.websocket]
    uploads = list(_of_middleware(app, UploadMiddleware))
    for route in _routes(app):
        own = [throttle for throttle in _of_route(route) if not throttle.websocket]
        operations = schema.get("paths", {}).get(route.path_format, {})
        for method in route.methods:
            operation = operations.get(method.lower())
            around = [*middleware, *(uploads if method in _WITH_BODY else ())]
            outside, inside = ([each for each in some if _may_apply(each, method, route)] for some in (around, own))
            if operation is not None and (outside or inside):
                for status, response in _responses(app, outside, inside).items():
                    operation.setdefault("responses", {}).setdefault(status, response)
                    if PROBLEM in response.get("content", {}):
                        schema.setdefault("components", {}).setdefault("schemas", {}).setdefault(_PROBLEM, _SCHEMA)


def _may_apply(throttle: Throttle[Any], method: str, route: Any) -> bool:
    """Whether the throttle's rules can match a request of that method on the route.

    The template is tested in place of its paths. With parameters in it, a regular expression may match.
    """
    rules = throttle.rules
    if rules is None or rules.judge(method, route.path_format, route.path) is not False:
        return True
    expressions = any(isinstance(rule.path, re.Pattern) and not rule.bypass for rule in rules.rules)
    return expressions and "{" in route.path_format


def _responses(
    app: FastAPI, outside: Sequence[Throttle[Any]], inside: Sequence[Throttle[Any]]
) -> dict[str, dict[str, Any]]:
    throttles = [*outside, *inside]
    headers = {"Retry-After": _WAIT}
    for throttle in throttles:
        for name in throttle.responses.fields:
            headers |= _FIELDS.get(name, {})
    # a handler of the throttle or of the application may answer anything
    raised = _raised(app)
    bodies = [_body(throttle.responses.problem) for throttle in outside if throttle.handler is None]
    if raised is not None:
        bodies += [_body(raised and throttle.responses.problem) for throttle in inside if throttle.handler is None]
    content = {kind: {"schema": body} for kind, body in bodies}
    shared = {"headers": headers, **({"content": content} if content else {})}
    found = {"429": {"description": "Too Many Requests", **shared}}
    if any(each.identifier is not None and may_deny(each.identifier.function) for each in throttles):
        found["403"] = {"description": "Forbidden", **({"content": content} if content else {})}
    if any(_refuses_while_away(throttle, app) for throttle in throttles):
        found["503"] = {"description": "Service Unavailable", **shared}
    return found


def _body(problem: bool) -> tuple[str, dict[str, Any]]:
    return (PROBLEM, {"$ref": f"#/components/schemas/{_PROBLEM}"}) if problem else (JSON, _DETAIL)


def _raised(app: FastAPI) -> bool | None:
    """Whether `answer_throttled` handles raised refusals; None if another handler does, which may answer anything."""
    from fastapi.exception_handlers import http_exception_handler

    for key in (429, *Throttled.__mro__):
        handler = app.exception_handlers.get(key)
        if handler is not None:
            return True if handler is answer_throttled else False if handler is http_exception_handler else None
    return False


def _refuses_while_away(throttle: Throttle[Any], app: FastAPI) -> bool:
    try:
        store = binding.resolve(app) if throttle.backend is None else throttle.backend
    except BackendNotFoundError:
        return False
    return store.may_answer_unavailable


def _routes(app: FastAPI) -> Iterator[Any]:
    from fastapi import routing

    # older versions have no such function, and keep the routes of included routers in the application
    contexts = getattr(routing, "iter_route_contexts", iter)
    for route in contexts(app.routes):
        if isinstance(getattr(route, "original_route", route), routing.APIRoute):
            yield route


def _of_middleware(app: FastAPI, kind: type) -> Iterator[Throttle[Any]]:
    for each in app.user_middleware:
        cls: object = each.cls
        if isinstance(cls, type) and issubclass(cls, kind):
            given = each.args[0] if each.args else each.kwargs.get("throttles", ())
            yield from _throttles([given] if isinstance(given, Throttle) else given)


def _of_route(route: Any) -> Iterator[Throttle[Any]]:
    yield from _throttles(getattr(route.endpoint, "throttles", ()))
    waiting = [route.dependant]
    for dependant in waiting:
        given = getattr(dependant.call, "__self__", dependant.call)
        yield from given.throttles if isinstance(given, AllOf) else _throttles([given])
        waiting += dependant.dependencies


def _throttles(given: object) -> Iterable[Throttle[Any]]:
    """The throttles in `given`, unless it is an iterator, which can be read only once."""
    return [each for each in given if isinstance(each, Throttle)] if isinstance(given, Collection) else []
