"""A ledger keeps the keys in use, and adds expired ones up."""

from __future__ import annotations

from random import Random

from traffik_cli.replay.ledgers import Ledger
from traffik_cli.replay.selectors import Selector
from traffik_cli.replay.trials import trial_of

SECOND = 1_000_000


def ledger(rate, most, key="ip"):
    return Ledger(trial_of(rate).plan, 1, Selector(key) if key == "ip" else Selector("field", key), most)


def test_expired_keys_are_folded():
    kept = ledger("5/s", 100)
    for second in range(0, 10_000, 10):
        kept.decide(second * SECOND, [b"key %d %d" % (second, each) for each in range(10)])
    assert len(kept.table) <= 200
    assert 10_000 == kept.requests == len(kept.entries()) + kept.folded.keys


def test_keys_in_use_are_never_folded():
    kept = ledger("5/hour", 10)
    for second in range(1000):
        kept.decide(second * SECOND, [b"%d" % second])
    assert (len(kept.entries()), kept.folded.keys) == (1000, 0)


def test_folding_changes_no_decision():
    chance = Random(1)
    small, large = ledger("3/10s", 20), ledger("3/10s", 10_000)
    for second in range(3000):
        keys = [b"%d" % (second % 40 * 10 + chance.randrange(60)) for _ in range(chance.choice([0, 1, 3, 40]))]
        assert large.decide(second * SECOND, keys) == small.decide(second * SECOND, keys)
    assert small.folded.keys > 0
    assert large.folded.keys == 0


def test_refused_keys_are_folded_last():
    kept = ledger("1/s", 10)
    for second in range(0, 1000, 5):
        kept.decide(second * SECOND, [b"bad", b"bad", b"good %d" % second])
    refusals = kept.table[b"bad"].refusals
    assert (refusals.count, refusals.first, kept.folded.touched) == (200, 0, 0)


def test_addresses_of_one_network_are_folded_as_one_key():
    kept = ledger("1/s", 10)
    for second in range(0, 1000, 5):
        kept.decide(second * SECOND, [b"2001:db8:0:%x::%x" % (second, host) for host in range(3)])
    assert kept.folded.keys + len(kept.entries()) == 200
    assert kept.folded.refusals.total() + sum(entry.refusals.count for _, entry in kept.entries()) == 400


def test_a_hit_without_a_key_is_not_limited():
    kept = ledger("1/hour", 10, "user")
    assert kept.decide(0, [None, None, b"", b"-", b"ada"]) == 0
    assert (kept.requests, kept.keyless, len(kept.entries())) == (5, 4, 1)
