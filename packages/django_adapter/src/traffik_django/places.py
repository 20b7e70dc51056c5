"""The names and routes of the project's URL patterns, as `resolver_match` has them.

A route may be translated, or begin with the language, so it may differ in each language.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

from django.conf import settings
from django.urls import ResolverMatch, URLResolver, get_resolver
from django.utils import translation

__all__ = ["Place", "places_by_language", "views"]

Place: TypeAlias = tuple[str, str]
"""The name of a view, with its namespaces, and the route to it."""


def places_by_language() -> Iterator[set[Place]]:
    """All places in the current language, and then in each language of the project."""
    yield set(_places(get_resolver()))
    if settings.USE_I18N:
        for language, _ in settings.LANGUAGES:
            with translation.override(language):
                found = set(_places(get_resolver()))
            yield found


def _places(resolver: Any, namespaces: tuple[str, ...] = (), route: str = "") -> Iterator[Place]:
    for pattern in resolver.url_patterns:
        here = str(pattern.pattern)
        whole = route + here.removeprefix("^") if route else here  # as Django joins them
        if isinstance(pattern, URLResolver):
            yield from _places(pattern, (*namespaces, pattern.namespace or ""), whole)
        else:
            match = ResolverMatch(pattern.callback, (), {}, pattern.name, None, [*namespaces], whole)
            yield match.view_name, whole


def views() -> list[Callable[..., Any]]:
    """The views in the URL patterns."""
    found: list[Callable[..., Any]] = []
    waiting: list[Any] = [get_resolver()]
    for resolver in waiting:
        for pattern in resolver.url_patterns:
            if isinstance(pattern, URLResolver):
                waiting.append(pattern)
            else:
                found.append(pattern.callback)
    return found
