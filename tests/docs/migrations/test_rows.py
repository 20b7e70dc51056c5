"""Each row of the tables in docs/migrate/ does what it says."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from functools import partial
from importlib import import_module

import pytest

from tests.apart import apart
from tests.backends.redis.servers import server
from tests.docs.migrations.probes import Doing
from tests.docs.migrations.rows import FOLDER, PAGES, READERS, evaluate, rows, run_programs
from tests.docs.pages import title


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with server() as one:
        yield f"{one.url}/0"


@pytest.mark.parametrize("page", PAGES, ids=title)
def test_each_row_does_what_it_says(page, url, tmp_path):
    ours = {READERS: url, FOLDER: str(tmp_path)}
    # another process: the throttles of a page are of no use to other tests, and Django has one project in a process
    with ProcessPoolExecutor(1, apart()) as pool:
        assert pool.submit(faults_of, page, ours).result() == []


def faults_of(page, ours):
    """The rows whose value does something else."""
    names, written = run_programs(page, ours), rows(page)
    checks = import_module(f"tests.docs.migrations.{page.stem.replace('-', '_')}").CHECKS
    faults = [f"{theirs}: has no check, or no row" for theirs in written.keys() ^ checks.keys()]
    with names.get("backend") or nullcontext():
        for theirs in written:
            probe, expected, *elsewhere = checks.get(theirs, (None, None))
            given = {**ours, READERS: [*elsewhere, ours[READERS]][0]}
            make = partial(evaluate, written[theirs], names, given)
            found = probe.probe(make, names) if isinstance(probe, Doing) else probe and probe(make())
            if found != expected:
                faults.append(f"{theirs}: {found} and not {expected}")
    return faults
