"""What comes of a replay: a table or JSON on standard output, pictures and a page in files, and the exit code."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from traffik.model.errors import ConfigurationError
from traffik_cli.replay.conditions import Condition
from traffik_cli.runs import Found
from traffik_cli.shown import show
from traffik_cli.traced import sentence
from traffik_cli.words import is_unicode, printable

__all__ = ["checked", "document", "failed", "present", "write_text"]

_PICTURES = (".png", ".svg", ".pdf")


def present(outcome: Found, options: Mapping[str, Any]) -> None:
    """Show what was found, and write what was asked for.

    Raises:
        ConfigurationError: a file is of no kind that can be drawn, or cannot be written.
    """
    for doubt in outcome.doubts:
        where = f"{doubt.log}: " if doubt.log else ""
        click.echo(f"traffik: warning: {where}{printable(doubt.text)}", err=True)
    if options["as_json"]:
        click.echo(json.dumps(document(outcome), indent=2, ensure_ascii=not is_unicode()))
    else:
        show(outcome, options["top"])
    if options["plot"]:
        from traffik_cli.plots import save

        save(outcome, Path(options["plot"]))
    if options["html"]:
        from traffik_cli.pages import page

        write_text(Path(options["html"]), page(outcome))


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
    """1 if one of the conditions holds for what was asked about, and says which; else 0.

    Raises:
        ConfigurationError: none holds, and there was no request with a key to judge by.
    """
    main = outcome.reports[0]
    held = [each for each in conditions if each.holds(main, outcome.logs)]
    for each in held:
        click.echo(f"traffik: failed: {each.text}", err=True)
    if not held and not main.requests:
        raise ConfigurationError("no request was read, so that the result says nothing")
    if not held and all(limit.keyless == limit.requests > 0 for limit in main.limits):
        raise ConfigurationError("no request has a key, so that the result says nothing")
    return 1 if held else 0


def document(outcome: Found) -> dict[str, object]:
    """The outcome as JSON has it: instants are µs since the epoch, spans µs, shares from 0 to 1."""
    return {
        "version": 1,
        "scenarios": [report.plain() for report in outcome.reports],
        "doubts": [asdict(doubt) for doubt in outcome.doubts],
        "logs": [asdict(log) | {"shown": [line._asdict() for line in log.shown]} for log in outcome.logs],
        "left_out": outcome.left_out,
        "client": None if outcome.client is None else outcome.client.plain() | {"sentence": sentence(outcome.client)},
        "suggestions": [asdict(each) for each in outcome.suggestions],
        "seconds": round(outcome.seconds, 3),
    }


def checked(path: str, *, picture: bool) -> Path:
    """The path of a file to write.

    Raises:
        ConfigurationError: it is to be a picture, and its name does not end as a picture's does; or its folder does not
            exist.
    """
    found = Path(path)
    if picture and found.suffix.lower() not in _PICTURES:
        raise ConfigurationError(f"{path} is no picture that can be drawn: end its name in {', '.join(_PICTURES)}")
    if not found.parent.is_dir():
        raise ConfigurationError(f"cannot write {path}: there is no folder {found.parent}")
    return found
