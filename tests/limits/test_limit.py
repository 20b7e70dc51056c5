"""The common part of throttles and limiters: plans and policies are prepared once."""

from __future__ import annotations

import pytest

from traffik import Limiter, Rate, RateError
from traffik.limits.options import returned_rates
from traffik.notices import misconfiguration

MINUTE = Rate.parse("5/min")


def test_the_policies_of_a_fixed_limit_are_all_of_its_rates(store):
    limiter = Limiter("limits", "5/min; 9/hour", backend=store)
    assert limiter.policies(limiter.sync.hit("a")).field == '"limits.1";q=5;w=60, "limits.2";q=9;w=3600'


def test_the_policies_of_a_callable_rate_are_those_of_the_binding_rate(store):
    limiter = Limiter("limits", lambda identity: identity, backend=store)
    fields = [limiter.policies(limiter.sync.hit(rate)).field for rate in ("5/min", "9/s", "5/min")]
    assert fields == ['"limits";q=5;w=60', '"limits";q=9;w=1', '"limits";q=5;w=60']


def test_a_plan_is_prepared_once_for_a_rate(store):
    limiter = Limiter("limits", lambda _: "5/min", backend=store)
    assert limiter.bound_for("5/min") is limiter.bound_for("5/min")
    assert limiter.bound_for(MINUTE).plan.rates == limiter.bound_for(["5/min"]).plan.rates == (MINUTE,)


def test_many_different_rates_do_not_fill_the_memory(store):
    limiter = Limiter("limits", lambda identity: f"{identity}/min", backend=store)
    for number in range(1, 2000):
        limiter.policies(limiter.sync.hit(number))
    assert len(limiter._by_rates) <= 256
    assert len(limiter._policies) <= 256


@pytest.mark.parametrize("answer", ["often", "", None, 5, [], True])
def test_a_callable_rate_must_return_a_rate(answer, store):
    with pytest.raises(RateError):
        Limiter("limits", lambda _: answer, backend=store).sync.hit("a")
    assert store.keys == 0


def test_a_bad_rate_that_no_function_returned_is_an_error_about_the_rate():
    with pytest.raises(RateError, match="often"):
        returned_rates(None, "often")


def test_scopes_are_not_counted_any_more_once_they_are_too_many(store, monkeypatch):
    told = []
    monkeypatch.setattr(misconfiguration, "MOST_SCOPES", 1)
    monkeypatch.setattr(misconfiguration, "many_scopes", told.append)
    limiter = Limiter("limits", "5/min", backend=store)
    for scope in "abc":
        limiter.sync.hit("ada", context={"scope": scope})
    limiter.note_scope("d")
    assert (len(told), limiter.scopes) == (1, None)
