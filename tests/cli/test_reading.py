"""Blocks of a log are read by several processes, and come in order."""

from __future__ import annotations

from concurrent.futures import Executor, Future

import pytest

from traffik.model.errors import ConfigurationError
from traffik_cli import reading
from traffik_cli.replay.batches import Wanted
from traffik_cli.replay.formats import Format
from traffik_cli.replay.selectors import Selector


class Late(Future):
    """Work that another process does only when its result is waited for."""

    def __init__(self, work):
        super().__init__()
        self.work = work

    def result(self, timeout=None):
        return self.work()


class Pool(Executor):
    """Another process, which is busy with other things."""

    given = 0

    def __init__(self, *args):
        Pool.given = 0

    def submit(self, function, *args):
        Pool.given += 1
        return Late(lambda: function(*args))


class Numbered:
    def read(self, block):
        return int(block)


def test_this_process_reads_what_a_slow_one_does_not_get_to_and_keeps_the_order(monkeypatch):
    monkeypatch.setattr(reading, "ProcessPoolExecutor", Pool)
    with reading.readers(2) as read:
        assert list(read((Numbered(), b"%d" % number) for number in range(400))) == list(range(400))
    assert 0 < Pool.given < 200


def test_no_more_than_a_bounded_number_of_blocks_waits_for_an_earlier_one(monkeypatch):
    monkeypatch.setattr(reading, "ProcessPoolExecutor", Pool)
    taken = []
    with reading.readers(2) as read:
        first = next(read((taken.append(number) or (Numbered(), b"%d" % number)) for number in range(10_000)))
    assert (first, len(taken) < 200) == (0, True)


class Growing:
    """A log of which lines come one by one."""

    name, size, in_parts = "log", None, False

    def __init__(self, *lines):
        self.lines = lines

    def blocks(self, moved):
        yield from self.lines


def hits_of(*lines):
    form = Format("auto", Wanted((Selector("ip"),)))
    with reading.readers(1) as read:
        (log,), batches = reading.batches_of([Growing(*lines)], form, 0, read, lambda taken: None)
        return log.malformed, [hit for batch in batches for hit in batch.hits]


@pytest.mark.parametrize("start", [(b"INFO: Started\n",) * 9, (b"#Version: 1.0\n", b"#Fields: date time c-ip\n")])
def test_a_log_may_begin_with_lines_that_do_not_show_its_format(start):
    rows = (b"2025-10-10 13:55:36 203.0.113.7\n" for _ in range(40))
    malformed, hits = hits_of(*start, *rows)
    assert (malformed in {0, 9}, hits) == (True, [b"203.0.113.7"] * 40)


def test_a_log_without_a_format_is_refused_before_its_end():
    with pytest.raises(ConfigurationError, match="format of this log is unknown"):
        hits_of(*[b"what?\n"] * 3_000, NotImplemented)
