"""`traffik replay --tier`: the tiers of a file of limits on logs that name them, and suggested tiers."""

from __future__ import annotations

import json

import pytest

from traffik import load_throttles

POLICY = '[[throttle]]\nuid = "api"\n{}[throttle.tiers]\nfree = "10/hour"\npro = "100/hour"\nall = "unlimited"\n'
DEFAULT = 'default_tier = "free"\n'


@pytest.fixture
def replay(traffik, tmp_path):
    """Replay requests, each a client and a plan, under a policy with tiers."""

    def replay(requests, *call, default=DEFAULT):
        rows = [{"ts": 1_760_054_400 + at, "ip": ip, "plan": plan} for at, (ip, plan) in enumerate(requests)]
        (tmp_path / "log.json").write_text("".join(json.dumps(row) + "\n" for row in rows))
        (tmp_path / "limits.toml").write_text(POLICY.format(default))
        policy = () if "--target-refused" in call else ("--policy", tmp_path / "limits.toml")
        return traffik("replay", tmp_path / "log.json", *policy, *call)

    return replay


def by_tier(said):
    (limit,) = json.loads(said.out)["scenarios"][0]["limits"]
    return {each["name"]: (each["tier"], each["requests"], each["refused"]) for each in limit["tiers"]}


def test_each_request_is_decided_by_the_tier_that_its_field_names(replay):
    requests = [
        (f"192.0.2.{place}", plan) for place, plan in enumerate(("free", "pro", "all", None)) for _ in range(120)
    ]
    said = replay(requests, "--tier", "field:plan", "--json")
    expected = {"free": ("free", 120, 110), "pro": ("pro", 120, 20), "all": ("all", 120, 0), None: ("free", 120, 110)}
    assert (by_tier(said), said.err) == (expected, "")


def test_usage_follows_a_client_to_another_tier(replay):
    plans = ["free"] * 11 + ["pro"] * 40 + ["all"] * 200 + ["pro"] * 51 + ["free"]
    found = by_tier(replay([("192.0.2.1", plan) for plan in plans], "--tier", "field:plan", "--json"))
    assert found == {"free": ("free", 12, 2), "pro": ("pro", 91, 1), "all": ("all", 200, 0)}


def test_names_that_are_no_tiers_are_counted_in_the_default_tier_with_a_warning(replay):
    said = replay([("192.0.2.1", "gold")] * 12, "--tier", "field:plan", "--json")
    assert by_tier(said) == {"gold": ("free", 12, 2)}
    assert "12 requests have names that are no tiers, such as 'gold'" in said.err
    assert "no request has the field" in replay([("192.0.2.1", "pro")], "--tier", "field:nothing").err


def test_all_clients_can_be_tried_in_one_tier(replay):
    requests = [("192.0.2.1", None)] * 120
    refused = [
        json.loads(replay(requests, "--tier", tier, "--json").out)["scenarios"][0]["refused"] for tier in ("pro", "all")
    ]
    assert refused == [20, 0]
    said = replay(requests, "--tier", "gold")
    assert "'api' has no tier 'gold', and all clients are tried as 'free'" in said.err


def test_the_tiers_are_shown_as_a_table(replay):
    out = replay([("192.0.2.1", "pro")] * 120, "--tier", "field:plan").out
    assert "Requests by tier (api)" in out
    assert "20 (16.7 %)" in out


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (("--tier", "gold"), "'api' has no tier 'gold', and no default_tier: give --tier free or pro or all"),
        (("--tier", "field:plan"), "has the plan 'gold', which is none of the tiers of 'api' (free, pro, all): add it"),
        (("--tier", "field:none"), "has no none, which is none of the tiers of 'api'"),
        (("--target-refused", "1%", "--tier", "free"), "give --tier field:NAME, not --tier free"),
        (("--target-refused", "1%", "--tier", "field:plan", "--by", "path"), "give one of them"),
    ],
)
def test_a_tier_that_cannot_be_is_an_error_that_says_what_to_give(replay, call, said):
    found = replay([("192.0.2.1", "gold")], *call, default="")
    assert (found.code, said in found.err) == (2, True), found.err


def test_a_tier_without_a_file_that_has_tiers_is_an_error(traffik, tmp_path):
    (tmp_path / "limits.toml").write_text('[[throttle]]\nuid = "api"\nrate = "1/s"\n')
    assert "give --policy limits.toml" in traffik("replay", "-", "--rate", "1/s", "--tier", "free").err
    said = traffik("replay", "-", "--policy", tmp_path / "limits.toml", "--tier", "free")
    assert f"no throttle of {tmp_path / 'limits.toml'} has tiers: leave --tier free out" in said.err


def test_suggested_tiers_are_written_to_a_file_that_admits_what_was_asked(replay, traffik, tmp_path):
    requests = [
        (f"192.0.2.{place}", plan) for place, plan in enumerate(("free", "pro", None)) for _ in range(9 + 30 * place)
    ]
    call = ("--tier", "field:plan")
    said = replay(requests, "--target-refused", "0%", *call, "--write", tmp_path / "new.toml")
    assert said.code == 0, said.err
    (throttle,) = load_throttles(tmp_path / "new.toml", tier=lambda request: None).values()
    assert (set(throttle.rate.rates), throttle.rate.default) == ({"free", "pro", "none"}, "none")
    again = traffik("replay", tmp_path / "log.json", "--policy", tmp_path / "new.toml", *call, "--json")
    assert {name: refused for name, (_, _, refused) in by_tier(again).items()} == {"free": 0, "pro": 0, None: 0}
