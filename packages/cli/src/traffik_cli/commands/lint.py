"""``traffik lint module:app`` finds mistakes in the limits of an application.

It imports the module and checks the application as at its start. It reports the notices of the library, mistakes in the
throttles that exist then, and mistakes in the source of modules in the current folder.
"""

from __future__ import annotations

import importlib
import logging
import sys
import traceback
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from itertools import permutations
from pathlib import Path
from typing import Any, NamedTuple

import click

from traffik import notices
from traffik.adapters import check_app
from traffik.backends import binding
from traffik.limits import uids
from traffik.limits.limit import Limit
from traffik.limits.tiers import Tiers
from traffik.model.errors import ConfigurationError
from traffik.model.rates import Rate
from traffik.throttles.files import read_limits
from traffik_cli.commands.forgotten import forgotten_in

__all__ = ["Finding", "findings_of", "lint"]


class Finding(NamedTuple):
    """A mistake that was found.

    Attributes:
        kind: the kind of mistake.
        about: the uid of the limit, or the name of another object.
        place: the file and line where it was made; empty if unknown.
        sentence: the mistake and how to fix it.
    """

    kind: str
    about: str
    place: str
    sentence: str


@click.command(short_help="Find mistakes in the limits of an application or a file.")
@click.argument("target", metavar="MODULE[:APP]|FILE.toml")
def lint(target: str) -> int:
    """Import an application and report mistakes in its limits. Exits with 1 if there are any.

    A file of limits is read without an application.
    """
    if target.endswith(".toml"):
        found, count = _of_file(target), len(read_limits(target))
    else:
        found, count = _of_app(target), len(_alive())
    for each in found:
        where = f"{each.place}: " if each.place else ""
        click.echo(f"{where}{each.about}: {each.sentence} [{each.kind}]")
    click.echo(f"limits: {count}, findings: {len(found)}", err=True)
    return 1 if found else 0


def _of_app(target: str) -> list[Finding]:
    with _printed_once():
        found = _check(_import(target))
    found += map(_noticed, notices.said())
    return [*found, *findings_of(_alive()), *_mistakes_in_source()]


def _noticed(notice: notices.Notice) -> Finding:
    """A notice as a finding. If it is about a limit, it has the place where the limit is made."""
    limit = uids.holder(notice.about)
    return Finding(notice.id, notice.about, "" if limit is None else limit.place, notice.sentence)


def _check(app: object) -> list[Finding]:
    """The errors that would stop the application at its start."""
    try:
        check_app(app)
    except ConfigurationError as error:
        return [Finding("cannot-start", type(app).__name__, "", str(error))]
    return []


def _mistakes_in_source() -> list[Finding]:
    """Missing awaits and similar mistakes in the modules imported from the current folder."""
    here = Path.cwd()
    modules = [
        module
        for module in tuple(sys.modules.values())
        if (file := getattr(module, "__file__", None)) and _is_own(Path(file), here)
    ]
    found = {
        Finding(each.kind, each.uid, each.place, each.sentence) for module in modules for each in forgotten_in(module)
    }
    return sorted(found, key=lambda finding: finding.place)


def _is_own(file: Path, here: Path) -> bool:
    return file.is_relative_to(here) and "site-packages" not in file.parts


def findings_of(limits: list[Limit]) -> list[Finding]:
    """The mistakes that can be found without a hit."""
    found = [finding for limit in limits for finding in _of_one(limit)]
    if limits and not list(binding._made) and all(limit.backend is None for limit in limits):
        sentence = "no throttle names a store and none has been made: make one and open it, or every hit is an error"
        found.append(Finding("no-store", "stores", "", sentence))
    return found


def _of_one(limit: Limit) -> Iterator[Finding]:
    if isinstance(limit.rate, Tiers):
        yield from _of_tiers(limit.uid, limit.place, limit.rate.rates)
    elif limit.rating is None:
        yield from _of_rates(limit.uid, limit.place, limit.own_plan.rates)


def _of_file(path: str) -> list[Finding]:
    """What can be seen of the throttles in a file of limits."""
    found: list[Finding] = []
    for entry in read_limits(path):
        place = f"{path}:{entry.line}"
        found += _of_tiers(entry.uid, place, entry.tiers) if entry.tiers else _of_rates(entry.uid, place, entry.rates)
    return found


def _of_tiers(uid: str, place: str, tiers: Mapping[str, tuple[Rate, ...]]) -> Iterator[Finding]:
    for name, rates in tiers.items():
        for each in _of_rates(uid, place, rates) if rates else ():
            yield each._replace(sentence=f"tier {name!r}: {each.sentence}")
    longest = {name: max(rate.period for rate in rates) for name, rates in tiers.items() if rates}
    if len(set(longest.values())) > 1:
        shown = ", ".join(f"{name} {max(tiers[name], key=lambda rate: rate.period)}" for name in longest)
        sentence = f"the longest periods of its tiers differ ({shown}), so usage follows to another tier in part only"
        yield Finding("tier-periods", uid, place, f"{sentence}: give all tiers the same longest period")
    if tiers and not any(tiers.values()):
        yield Finding("unlimited", uid, place, "all tiers are unlimited, so it counts nothing: give one a rate")


def _of_rates(uid: str, place: str, rates: tuple[Rate, ...]) -> Iterator[Finding]:
    if not rates:
        yield Finding("unlimited", uid, place, "is unlimited, so it counts nothing: give it a rate, or take it away")
    if any(rate.limit == 0 for rate in rates):
        yield Finding("admits-nothing", uid, place, "has a limit of 0, so it admits nothing")
    for loose, tight in permutations(rates, 2):
        if _idle(loose, tight):
            sentence = f"the rate {loose} never binds, since {tight} allows no more: leave it out, or lower it"
            yield Finding("idle-rate", uid, place, sentence)


def _idle(loose: Rate, tight: Rate) -> bool:
    """Whether `loose` never refuses a hit that `tight` admits, in the long run and within its period."""
    windows = -(-loose.period // tight.period) + 1
    return loose.limit > 0 and tight.limit * windows <= loose.limit


def _alive() -> list[Limit]:
    with uids._lock:
        return sorted((limit for held in uids._claimed.values() for limit in held), key=lambda limit: limit.uid)


@contextmanager
def _printed_once() -> Generator[None]:
    """Keep notices out of the log, since they are printed as findings."""
    log = logging.getLogger("traffik.notices")
    level = log.level
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        log.setLevel(level)


def _import(target: str) -> Any:
    name, _, attribute = target.partition(":")
    sys.path.insert(0, str(Path.cwd()))
    try:
        found: Any = importlib.import_module(name)
        for part in filter(None, attribute.split(".")):
            found = getattr(found, part)
    except AttributeError as error:
        raise ConfigurationError(f"{target}: {error}") from None
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"cannot import {error.name}: give the module as MODULE:APP, from its folder"
        ) from None
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a module may fail in any way
        last = traceback.extract_tb(error.__traceback__)[-1]
        raise ConfigurationError(
            f"{name} fails when it is imported: {type(error).__name__}: {error} ({last.filename}:{last.lineno})"
        ) from None
    return found
