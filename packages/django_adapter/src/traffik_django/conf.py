"""The current settings: one configuration per process, read again when a test overrides them.

Django has no lifespan, so the project's store is open from the start of the process. Opening it does no I/O. It
connects at its first hit, after the server has forked its workers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from threading import RLock
from typing import Any, Final

from django.apps import apps
from django.core.exceptions import ImproperlyConfigured

from traffik import adapters
from traffik.backends import binding
from traffik.backends.base import Backend
from traffik.identities import trust
from traffik.limits.defaults import set_default_responses
from traffik.throttles import Throttle
from traffik_django.limits import use_identity
from traffik_django.reading import Config, read

__all__ = ["Named", "changed", "current", "resolve", "start", "stop", "throttles"]

_lock: Final = RLock()
_current: Config | None = None
_running = ExitStack()


def current() -> Config:
    """The current configuration.

    Raises:
        ImproperlyConfigured: the settings are invalid. `manage.py check` lists all problems.
    """
    config = _current or start()
    if config.problems:
        problem = config.problems[0]
        raise ImproperlyConfigured(f"{problem.message} {problem.hint}")
    return config


def start() -> Config:
    """Read the settings, unless they are read already, and open the store. Problems are kept for the checks."""
    global _current  # noqa: PLW0603 - a process has one project
    with _lock:
        if _current is None:
            _current = read()
            use_identity(_current.identifier)
            if _current.proxies is not None:
                _running.callback(trust.trust_no_proxies)
                trust.trusted(_current.proxies)
            if _current.responses is not None:
                _running.callback(set_default_responses, None)
                set_default_responses(_current.responses)
            if _current.store is not None:
                adapters.load_adapters()
                _running.callback(_close, _current.store)
                binding.opened(_current.store)
                _running.enter_context(binding.bound(_current.store, apps, ()))
        return _current


def stop() -> None:
    """Close the store and forget the settings. The next use reads them again."""
    global _current  # noqa: PLW0603 - see start
    with _lock:
        _current = None
        use_identity(None)
        _running.close()


def changed(*, setting: str, **_: Any) -> None:
    """Receive `setting_changed`, which Django sends when a test overrides a setting."""
    if setting in {"CACHES", "TRAFFIK"}:
        stop()
        start()


class Named(Mapping[str, Throttle[Any]]):
    """The throttles of the current settings by name, as in ``throttles["login"]``."""

    def __init__(self) -> None:
        self.expected: set[str] = set()
        """The names that decorators use, for the checks."""

    def expect(self, name: str) -> None:
        """Make the checks report it if there is no throttle with this name."""
        self.expected.add(name)

    def __getitem__(self, name: str) -> Throttle[Any]:
        found = current().throttles
        if name not in found:
            known = ", ".join(found) or "none"
            raise KeyError(f"TRAFFIK['THROTTLES'] has no throttle {name!r}; there are: {known}")
        return found[name]

    def __iter__(self) -> Iterator[str]:
        return iter(current().throttles)

    def __len__(self) -> int:
        return len(current().throttles)


throttles: Final = Named()
"""The throttles of ``settings.TRAFFIK``."""


def resolve(guard: Throttle[Any] | str) -> Throttle[Any]:
    """The throttle itself, or the throttle with this name."""
    return throttles[guard] if isinstance(guard, str) else guard


def _close(store: Backend) -> None:
    if binding.closed(store):
        store.close_sync()
