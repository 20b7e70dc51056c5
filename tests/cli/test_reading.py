"""Blocks of a log are read by several processes, and come in order."""

from __future__ import annotations

from concurrent.futures import Executor, Future

from traffik_cli import reading


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
