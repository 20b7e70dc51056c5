"""The output of a replay: tables or JSON on standard output, pictures and a page in files, and the exit code."""

from __future__ import annotations

import json
import shlex
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click

from traffik.model.errors import ConfigurationError
from traffik_cli.replay.conditions import Condition
from traffik_cli.replay.drifts import LimitDrift
from traffik_cli.replay.logs import LogReport
from traffik_cli.replay.replay_warnings import ReplayWarning
from traffik_cli.replay.reports import ScenarioReport
from traffik_cli.replay.schemas import plain
from traffik_cli.replay.targets import Suggestion
from traffik_cli.replay.tracing import ClientReport
from traffik_cli.runs import Found
from traffik_cli.shown import show
from traffik_cli.traced import sentence
from traffik_cli.words import is_unicode, moment, printable

__all__ = ["ReplayDocument", "checked", "document", "failed", "present", "write_text"]

_PICTURES = (".png", ".svg", ".pdf")


def present(outcome: Found, options: Mapping[str, Any], shown: Callable[[str], str] = str) -> None:
    """Show what was found, and write what was asked for; the command is `shown` as that makes it.

    Raises:
        ConfigurationError: a file has an unknown format or cannot be written.
    """
    for warning in outcome.warnings:
        where = f"{warning.log}: " if warning.log else ""
        click.echo(f"traffik: warning: {where}{printable(warning.text)}", err=True)
    if options["as_json"]:
        click.echo(json.dumps(plain(document(outcome)), indent=2, ensure_ascii=not is_unicode()))
    else:
        show(outcome, options["top"])
    if options["plot"]:
        from traffik_cli.plots import save

        save(outcome, Path(options["plot"]))
    if options["html"]:
        from traffik_cli.pages import page

        write_text(Path(options["html"]), page(outcome, *_made(shown)))


def _made(shown: Callable[[str], str]) -> tuple[str, str]:
    """The version and the time, and the command as it was typed."""
    at = moment(time.time_ns() // 1000)
    arguments = click.get_current_context().find_root().obj or sys.argv[1:]
    return f"traffik {version('traffik-cli')}, {at} UTC", shown(shlex.join(["traffik", *arguments]))


def write_text(path: Path, text: str) -> None:
    """Write a file.

    Raises:
        ConfigurationError: it cannot be written.
    """
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"cannot write {path}: {error.strerror}") from None


def failed(outcome: Found, conditions: Sequence[Condition]) -> int:
    """The exit code: 1 if a condition of the first scenario is true, after printing it; otherwise 0.

    Raises:
        ConfigurationError: no condition is true, and the log had no request with a key.
    """
    main = outcome.reports[0]
    held = [each for each in conditions if each.holds(main, outcome.logs, outcome.drifts)]
    for each in held:
        click.echo(f"traffik: failed: {each.text}", err=True)
    if not held and outcome.before is not None and not outcome.before.reports[0].requests:
        raise ConfigurationError("no request was read in the log given with --before, so there is nothing to compare")
    if not held and not main.requests:
        raise ConfigurationError("no request was read, so there is no result")
    if not held and all(limit.keyless == limit.requests > 0 for limit in main.limits):
        raise ConfigurationError("no request has a key, so there is no result")
    return 1 if held else 0


@dataclass(frozen=True, slots=True)
class ReplayDocument:
    """A replay as JSON. Times are in µs since the epoch, durations in µs, and shares from 0 to 1.

    Attributes:
        version: the version of this format. Fields may be added without a new version.
        scenarios: the results, first with the given limits, then with those they are compared with.
        warnings: reasons why the result cannot be right.
        logs: what was read of each log, and the fields found for the client, the time and the path.
        suggestions: the limits that meet the target, for each period, if a target was given.
        left_out: requests that --only, --where or --ignore left out.
        client: the client that was asked about; null if none was.
        sentence: what happened to that client, to be sent to it.
        before: what became of the traffic of the log given with --before, under what was asked about; null without it.
        before_logs: how the reading of that log went.
        drifts: what has changed since that log, for each throttle.
        seconds: how long it took.
    """

    version: int
    scenarios: list[ScenarioReport]
    warnings: list[ReplayWarning]
    logs: list[LogReport]
    suggestions: list[Suggestion]
    left_out: int
    client: ClientReport | None
    sentence: str | None
    before: ScenarioReport | None
    before_logs: list[LogReport]
    drifts: list[LimitDrift]
    seconds: float


def document(outcome: Found) -> ReplayDocument:
    """The outcome as values for JSON."""
    client = outcome.client
    return ReplayDocument(
        version=1,
        scenarios=outcome.reports,
        warnings=outcome.warnings,
        logs=outcome.logs,
        suggestions=outcome.suggestions,
        left_out=outcome.left_out,
        client=client,
        sentence=None if client is None else sentence(client),
        before=None if outcome.before is None else outcome.before.reports[0],
        before_logs=[] if outcome.before is None else outcome.before.logs,
        drifts=outcome.drifts,
        seconds=round(outcome.seconds, 3),
    )


def checked(path: str, *, picture: bool) -> Path:
    """Check the path of a file to write.

    Raises:
        ConfigurationError: the name of a picture has an unknown ending, or the folder does not exist.
    """
    found = Path(path)
    if picture and found.suffix.lower() not in _PICTURES:
        raise ConfigurationError(f"{path} is not a picture: end its name in {', '.join(_PICTURES)}")
    if not found.parent.is_dir():
        raise ConfigurationError(f"cannot write {path}: there is no folder {found.parent}")
    return found
