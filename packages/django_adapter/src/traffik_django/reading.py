"""Turns ``settings.TRAFFIK`` into objects. Mistakes in it become problems, never exceptions."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from fnmatch import fnmatchcase
from functools import partial
from typing import Any, Final

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from traffik.backends.base import Backend
from traffik.identities import Identifier, prepare_identifier
from traffik.identities.proxies import NETWORK_PREFIX, Proxies, proxies
from traffik.model.descriptions import describe
from traffik.model.errors import ConfigurationError
from traffik.responses.options import FIELDS, ResponseOptions
from traffik.rules.rule import Rule
from traffik.throttles import Throttle
from traffik.throttles.uploads import STEP, check_uploads
from traffik_django.identities import named
from traffik_django.limits import HTTPThrottle
from traffik_django.stores import store_of

__all__ = ["EVERYTHING", "Config", "Problem", "is_meant", "is_name", "read"]

EVERYTHING: Final = "*"
"""The pattern that means every request, also one that no URL pattern matches."""

_PROXIES: Final = ("TRUSTED_PROXIES", "PROXY_HEADER", "IPV6_PREFIX")
_KEYS: Final = (
    *("COUNT_PREFLIGHTS", "HEADERS", "IDENTIFIER", "RESPONSES", *_PROXIES),
    *("STORE", "THROTTLES", "UPLOADS", "UPLOAD_STEP", "URLS"),
)
_NAME: Final = re.compile(r"[A-Za-z_][\w.:-]{0,127}")
_OPTIONS: Final = (
    *("context", "cost", "handle_throttled", "identifier", "responses", "rate", "rules"),
    *("shadow", "shadow_rate", "strategy"),
)
_RESPONSES: Final = tuple(each.name for each in fields(ResponseOptions))
_RULE: Final = ("bypass", "methods", "path", "route", "when")
_DOTTED: Final = ("cost", "handle_throttled", "strategy")
"""Options whose value may be a dotted path, of a function, a strategy or the class of one."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A mistake in the settings: the number of its check, what is wrong, and how to fix it."""

    number: int
    message: str
    hint: str


@dataclass(slots=True)
class Config:
    """The settings as objects.

    Attributes:
        store: the project's store; None if it has none.
        identifier: the default identifier; None for the address.
        proxies: the trusted proxies; None to leave them as they are.
        throttles: the throttles by name.
        everywhere: the throttles for every request.
        rules: patterns, each with the throttles for the views that match.
        uploads: the throttles that count the bytes of bodies.
        upload_step: bytes between two charges of an upload.
        responses: the response options of throttles without their own; None if the settings have none.
        headers: whether responses that are not refusals get the RateLimit fields.
        count_preflights: whether CORS preflights count like other requests.
        problems: the mistakes in the settings.
    """

    store: Backend | None = None
    identifier: Identifier | None = None
    proxies: Proxies | None = None
    throttles: dict[str, Throttle[Any]] = field(default_factory=dict)
    everywhere: tuple[Throttle[Any], ...] = ()
    rules: list[tuple[str, tuple[Throttle[Any], ...]]] = field(default_factory=list)
    uploads: tuple[Throttle[Any], ...] = ()
    upload_step: int = STEP
    responses: ResponseOptions | None = None
    headers: bool = True
    count_preflights: bool = False
    problems: list[Problem] = field(default_factory=list)
    _failed: set[str] = field(default_factory=set)
    _found: dict[tuple[str, str], list[Throttle[Any]]] = field(default_factory=dict)

    def throttles_for(self, match: Any) -> list[Throttle[Any]] | tuple[()]:
        """The throttles for the view that the URL leads to."""
        if not self.rules:
            return ()
        # The cache has an entry per URL pattern. Neither value comes from the client.
        place = (match.view_name, match.route)
        found = self._found.get(place)
        if found is None:
            each = [throttle for pattern, throttles in self.rules if is_meant(pattern, place) for throttle in throttles]
            found = self._found[place] = list(dict.fromkeys(each))
        return found

    def problem(self, number: int, message: str, hint: str) -> None:
        self.problems.append(Problem(number, message, hint))


def is_meant(pattern: str, place: tuple[str, str]) -> bool:
    """Whether a pattern of URLS matches the view with this name and route."""
    return any(fnmatchcase(name or "", pattern) for name in place)


def is_name(text: str) -> bool:
    """Whether `text` can be the name of a throttle. A rate cannot be one."""
    return _NAME.fullmatch(text) is not None and text.lower() != "unlimited"


def read() -> Config:
    """The current settings. Without ``TRAFFIK`` they are a store in memory and no throttles."""
    config, given = Config(), getattr(settings, "TRAFFIK", {})
    if not isinstance(given, Mapping):
        config.problem(
            2, f"TRAFFIK is a dict, not {describe(given)}.", 'Write TRAFFIK = {"THROTTLES": {"login": "5/min"}}.'
        )
        given = {}
    for key in given:
        if key not in _KEYS:
            config.problem(2, f"TRAFFIK has no key {key!r}.", _close(str(key), _KEYS))
    config.headers = given.get("HEADERS", True)
    config.count_preflights = given.get("COUNT_PREFLIGHTS", False)
    for key, flag in (("HEADERS", config.headers), ("COUNT_PREFLIGHTS", config.count_preflights)):
        if not isinstance(flag, bool):
            config.problem(2, f"TRAFFIK[{key!r}] is True or False, not {flag!r}.", "Write True or False.")
    config.store = _made(config, 3, "['STORE']", lambda: store_of(given.get("STORE", {})))
    if given.get("IDENTIFIER") is not None:
        config.identifier = _made(config, 4, "['IDENTIFIER']", lambda: _identifier(given["IDENTIFIER"]))
    if not given.keys().isdisjoint(_PROXIES):
        config.proxies = _made(config, 9, "['TRUSTED_PROXIES']", partial(_proxies, given))
    if given.get("RESPONSES") is not None:
        config.responses = _made(config, 10, "['RESPONSES']", lambda: _responses(given["RESPONSES"]))
    _read_throttles(config, given.get("THROTTLES", {}))
    _read_urls(config, given.get("URLS", {}))
    _read_uploads(config, given)
    return config


def _proxies(given: Mapping[str, Any]) -> Proxies:
    header, prefix = given.get("PROXY_HEADER", "X-Forwarded-For"), given.get("IPV6_PREFIX", NETWORK_PREFIX)
    return proxies(given.get("TRUSTED_PROXIES", ()), header, prefix)


def _read_throttles(config: Config, given: Any) -> None:
    if not isinstance(given, Mapping):
        config.problem(5, f"TRAFFIK['THROTTLES'] is a dict, not {describe(given)}.", 'Write {"login": "5/min"}.')
        return
    for name, options in given.items():
        where = f"['THROTTLES'][{name!r}]"
        if not isinstance(name, str) or not is_name(name):
            config.problem(5, f"{name!r} cannot name a throttle.", "Begin it with a letter, as in 'login' or 'api:v1'.")
            continue
        made = _made(config, 5, where, partial(_throttle, config, name, options))
        if made is None:
            config._failed.add(name)
        else:
            config.throttles[name] = made


def _read_urls(config: Config, given: Any) -> None:
    if not isinstance(given, Mapping):
        config.problem(6, f"TRAFFIK['URLS'] is a dict, not {describe(given)}.", 'Write {"api:*": "api"}.')
        return
    for pattern, names in given.items():
        if not isinstance(pattern, str):
            hint = 'Write the name of a URL pattern, such as "accounts:login", or "*".'
            config.problem(6, f"TRAFFIK['URLS'] has a key that is no text: {pattern!r}.", hint)
            continue
        throttles = _named(config, 6, f"['URLS'][{pattern!r}]", names)
        if pattern == EVERYTHING:
            config.everywhere = throttles
        else:
            config.rules.append((pattern, throttles))


def _read_uploads(config: Config, given: Mapping[Any, Any]) -> None:
    config.upload_step = given.get("UPLOAD_STEP", STEP)
    config.uploads = _named(config, 13, "['UPLOADS']", given.get("UPLOADS", ()))
    if config.uploads:
        _made(config, 13, "['UPLOADS']", lambda: check_uploads(config.uploads, config.upload_step))


def _named(config: Config, number: int, where: str, names: Any) -> tuple[Throttle[Any], ...]:
    """The throttles with one or several names."""
    throttles: list[Throttle[Any]] = []
    for name in names if isinstance(names, list | tuple) else [names]:
        if isinstance(name, str) and name in config.throttles:
            throttles.append(config.throttles[name])
        elif not isinstance(name, str) or name not in config._failed:  # else its mistake is a problem already
            hint = _close(str(name), config.throttles)
            if isinstance(name, str) and not is_name(name):
                hint = f"Give the rate a name in THROTTLES, such as {{'everybody': {name!r}}}, and write the name here."
            config.problem(number, f"TRAFFIK{where} names no throttle: {name!r}.", hint)
    return tuple(throttles)


def _throttle(config: Config, name: str, given: Any) -> Throttle[Any]:
    if isinstance(given, Throttle):
        return given
    options = dict(given) if isinstance(given, Mapping) else {"rate": given}
    for key in options:
        if key not in _OPTIONS:
            raise ValueError(f"no option of a throttle is called {key!r}. {_close(str(key), _OPTIONS)}")
    if "rate" not in options:
        raise ValueError("a throttle needs a rate, such as '5/min'")
    if options.get("identifier") is not None:
        options["identifier"] = _identifier(options["identifier"])
    if options.get("responses") is not None:
        options["responses"] = _responses(options["responses"])
    if "rules" in options:
        rules = options["rules"]
        options["rules"] = [_rule(each) for each in ([rules] if isinstance(rules, Mapping | Rule) else rules)]
    for key in _DOTTED:
        if isinstance(options.get(key), str):
            if "." not in options[key]:
                home = "traffik" if key == "strategy" else "shop.limits"
                raise ValueError(f"{key} is an object or a dotted path, such as '{home}.{options[key]}'")
            found = import_string(options[key])
            options[key] = found() if isinstance(found, type) else found
    # with its store, so that the settings of one test do not affect those of another
    return HTTPThrottle(name, options.pop("rate"), backend=config.store, **options)


def _rule(given: Any) -> Any:
    """A rule, or the arguments of one. Anything else is returned, and the throttle raises an error."""
    if not isinstance(given, Mapping):
        return given
    for key in given:
        if key not in _RULE:
            raise ValueError(f"no argument of a rule is called {key!r}. {_close(str(key), _RULE)}")
    arguments: dict[str, Any] = dict(given)
    if isinstance(arguments.get("when"), str):
        arguments["when"] = import_string(arguments["when"])
    return Rule(**arguments)


def _identifier(given: Any) -> Identifier:
    if isinstance(given, str):
        found: Any = import_string(given) if "." in given and ":" not in given else named(given)
    else:
        found = given
    if not callable(found):
        raise TypeError(f"an identifier is a name or a function, not {describe(given)}")
    identifier: Identifier = found
    prepare_identifier(identifier)  # raises if it cannot be called so
    return identifier


def _responses(given: Any) -> ResponseOptions:
    if isinstance(given, ResponseOptions):
        return given
    if not isinstance(given, Mapping):
        raise TypeError(f"RESPONSES is a dict or a ResponseOptions, not {describe(given)}")
    options = dict(given)
    for key in options:
        if key not in _RESPONSES:
            raise ValueError(f"no option of RESPONSES is called {key!r}. {_close(str(key), _RESPONSES)}")
    if isinstance(options.get("fields"), list | tuple):
        options["fields"] = [_writer(each) for each in options["fields"]]
    return ResponseOptions(**options)


def _writer(given: Any) -> Any:
    """A function that writes header fields may be the dotted path of one."""
    return import_string(given) if isinstance(given, str) and given not in FIELDS and "." in given else given


def _made(config: Config, number: int, where: str, make: Callable[[], Any]) -> Any:
    """The result of `make`; None if it raises, which becomes a problem."""
    try:
        return make()
    except (ConfigurationError, ImportError, ImproperlyConfigured, TypeError, ValueError) as error:
        config.problem(number, f"TRAFFIK{where}: {error}", _HINTS[number])
        return None


_HINTS: Final = {
    3: "Write {'CACHE': 'default'}, {'BACKEND': 'dotted.path', 'LOCATION': …, 'OPTIONS': {…}}, a redis:// URL or None.",
    4: "Write 'ip', 'user', 'session', 'header:NAME', or the dotted path of a function of the request and the context.",
    5: "Write a rate such as '5/min', or {'rate': '5/min', 'identifier': 'user'}.",
    9: "Write their networks, such as ['10.0.0.0/8'], or the number of proxies that every request passes.",
    13: "Write the names of throttles in UPLOADS, and in UPLOAD_STEP the bytes between two charges, such as 65536.",
    10: "Write {'fields': ['draft-11', 'x-ratelimit'], 'jitter': 5}, or other arguments of traffik.ResponseOptions.",
}


def _close(word: str, known: Any) -> str:
    close = [each for each in known if each.lower() == word.lower()] or get_close_matches(word, list(known), 1)
    return f"Did you mean {close[0]!r}?" if close else f"There are: {', '.join(known) or 'none'}."
