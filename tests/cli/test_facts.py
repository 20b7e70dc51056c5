"""The commands that explain rates, adapters and files of limits."""

from __future__ import annotations

import json

import pytest


def test_a_rate_is_explained_for_every_strategy(traffik):
    said = traffik("rate", "100/min")
    assert (said.code, said.err) == (0, "")
    assert "100 in 1 min, one every 600 ms if evenly spaced" in said.out
    for name in ("sliding-window", "fixed-window", "sliding-log", "token-bucket", "leaky-bucket", "gcra", "penalty"):
        assert name in said.out


def test_a_strategy_that_cannot_count_a_rate_says_so(traffik):
    assert "stores every hit" in " ".join(traffik("rate", "20000/hour").out.split())


def test_a_rate_in_another_unit_is_explained_in_it(traffik):
    assert "20,000 tokens in 1 min, one every 3 ms if evenly spaced" in traffik("rate", "20k tokens/min burst 60k").out
    said = traffik("rate", "64 MiB/min").out
    assert "64 MiB/min: 67,108,864 bytes in 1 min\n" in said


def test_unlimited_and_zero_rates_are_explained(traffik):
    assert "unlimited" in traffik("rate", "unlimited").out
    assert "nothing is admitted" in traffik("rate", "0/min").out


def test_adapters_and_stores_are_listed(traffik):
    said = traffik("adapters")
    assert said.code == 0
    assert "Redis" in said.out


def test_the_schema_is_published(traffik):
    schema = json.loads(traffik("schema").out)
    assert {"uid", "rate", "rule"} <= set(schema["$defs"]["throttle"]["properties"])


@pytest.mark.parametrize("kind", ["bash", "zsh", "fish"])
def test_a_completion_script_is_printed_for_each_shell(kind, traffik):
    assert "_TRAFFIK_COMPLETE" in traffik("completion", kind).out


def test_completion_lists_the_commands(shell):
    said = shell(_TRAFFIK_COMPLETE="bash_complete", COMP_WORDS="traffik re", COMP_CWORD="1")
    assert {"plain,replay", "plain,reset"} == set(said.out.split())


def test_synthetic_traffic_is_the_same_each_time(shell):
    assert shell("synthetic", "hours=1,requests=900").out == shell("synthetic", "hours=1,requests=900").out != ""
