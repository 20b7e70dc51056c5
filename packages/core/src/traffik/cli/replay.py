"""``traffik replay``: what a limit would have done to traffic that has been."""

from __future__ import annotations

import click

from traffik.cli.runs import Reading, decided
from traffik.cli.shown import show_report
from traffik.cli.sources import Source
from traffik.simulate.formats import FORMATS
from traffik.simulate.ledgers import MOST
from traffik.simulate.reports import report_of
from traffik.simulate.tables import Fields
from traffik.simulate.trials import named, period_of, trial_of

__all__ = ["replay"]


@click.command()
@click.argument("files", nargs=-1)
@click.option("--rate", "rates", multiple=True)
@click.option("--format", "form", type=click.Choice(FORMATS), default="auto")
@click.option("--jobs", type=int, default=1)
def replay(files, rates, form, jobs):
    trial = trial_of(rates)
    reading = Reading([Source(f) for f in files], form, Fields(), period_of("10s"), jobs, MOST)
    scenarios, logs = decided(reading, {named(trial): [trial]}, "replay")
    show_report([report_of(s) for s in scenarios], logs)
