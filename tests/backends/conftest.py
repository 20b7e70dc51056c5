"""Which strategies the contract tests of stores run with."""

from __future__ import annotations

from traffik.testing import BackendContract

FURTHER = ("TestOneServer", "TestSentinels", "TestCluster", "TestDurable", "trio")
"""Runs whose only difference to another one, with all strategies, is how a value reaches the store."""

CHOSEN = {"SlidingWindow", "IdlePeriod", "SettlingPeriod"}
"""One strategy that the script decides, and one that Python decides, stand for all of them there."""


def pytest_collection_modifyitems(config, items):
    kept, left_out = [], []
    for item in items:
        (left_out if repeats(item) else kept).append(item)
    config.hook.pytest_deselected(items=left_out)
    items[:] = kept


def repeats(item):
    if not issubclass(getattr(item, "cls", None) or object, BackendContract):
        return False
    if not any(each in item.nodeid for each in FURTHER):
        return False
    strategy = getattr(item, "callspec", None) and item.callspec.params.get("strategy")
    return strategy is not None and type(strategy).__name__ not in CHOSEN
