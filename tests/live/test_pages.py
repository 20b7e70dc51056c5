"""The page as plain values: what it shows of this process, what it does, and what it refuses."""

from __future__ import annotations

import gc
import json
import os
from functools import partial

import anyio
import pytest

from traffik import Limiter
from traffik.backends.inmemory import InMemoryBackend
from traffik.backends.lmdb import LMDBBackend
from traffik.events.audits import subscribe_audits
from traffik.live import actions, monitors
from traffik.live.messages import LiveRequest
from traffik.live.pages import LivePage
from traffik.live.ticking import Ticker
from traffik.model.coroutines import run_sync

TOKEN = "a token of operators"


@pytest.fixture
def limiter():
    return Limiter("mails[1]", "2/min", backend=InMemoryBackend())


@pytest.fixture
def page(limiter):
    with LivePage(act_token=TOKEN) as made:
        yield made


def ask(page, method, path, body=b""):
    request = LiveRequest(method, path, {"authorization": f"Bearer {TOKEN}"}, body)
    return run_sync(page.answer(request, wait=lambda answer: answer))


def act(page, **action):
    return ask(page, "POST", "/actions", json.dumps(action).encode()).status


def shown(page):
    page.tick()
    return next(each for each in page.state()["throttles"] if each["throttle"] == "mails[1]")


def test_keys_are_hashed_unless_they_may_be_shown(page, limiter):
    for _ in range(3):
        limiter.sync.hit("ada")
    page.tick()
    (client,) = page.state()["clients"]
    assert (client["label"], len(client["client"]), "ada" in json.dumps(page.state())) == (None, 40, False)


def test_a_shadow_is_shown_as_a_trial(page):
    limiter = Limiter("mails[1]", "1/min", shadow=True, backend=InMemoryBackend())
    for _ in range(3):
        limiter.sync.hit("ada")
    assert (shown(page)["trials"], shown(page)["refused"]) == ([1, 2], 0)


def test_a_client_that_was_never_refused_is_named_by_its_identity(page, limiter):
    scoped = Limiter("mails[1]", "2/min", context={"scope": "eu"}, backend=limiter.backend)
    for each in (limiter, scoped):
        each.sync.hit("2001:db8::/64", 2)
    about = {"throttle": "mails[1]", "identity": "2001:db8::7"}
    assert act(page, action="reset", **about) == 200
    assert [each.sync.stat("2001:db8::/64").hits_remaining for each in (limiter, scoped)] == [2, 2]
    assert act(page, action="ban", seconds=60, **about) == 200
    assert limiter.sync.hit("2001:db8::/64").degraded == "banned"
    assert act(page, action="lift", **about) == 200
    assert limiter.sync.hit("2001:db8::/64")


def test_actions_are_logged_and_told_to_listeners(page, limiter, caplog):
    events = []
    with subscribe_audits(events.append) as audits:
        assert act(page, action="disable", throttle="mails[1]") == 200
        assert audits.flush()
    assert [(event.action, event.uid, event.by) for event in events] == [("disable", "mails[1]", "act_token")]
    assert [record.traffik_action for record in caplog.records] == ["disable"]
    assert [(each["action"], each["by"]) for each in page.state()["audit"]] == [("disable", "act_token")]


def test_a_disabled_limit_is_enabled_again(page, limiter):
    assert act(page, action="disable", throttle="mails[1]") == 200
    assert (limiter.enabled, shown(page)["enabled"]) == (False, False)
    assert act(page, action="enable", throttle="mails[1]") == 200
    assert limiter.enabled


@pytest.mark.parametrize(
    ("action", "status"),
    [
        ({"action": "disable", "throttle": "nothing"}, 404),
        ({"action": "disable", "throttle": 7}, 404),
        ({"action": "explode", "throttle": "mails[1]"}, 400),
        ({"action": "ban", "throttle": "mails[1]", "client": "a", "seconds": -1}, 400),
        ({"action": "ban", "throttle": "mails[1]", "client": "a", "seconds": True}, 400),
        ({"action": "ban", "throttle": "mails[1]", "client": "a", "seconds": 10**9}, 400),
        ({"action": "ban", "throttle": "mails[1]", "client": "", "seconds": 60}, 400),
        ({"action": "reset", "throttle": "mails[1]", "client": "unknown"}, 404),
        ({"throttle": "mails[1]"}, 400),
    ],
)
def test_an_action_that_is_not_possible_does_nothing(page, limiter, action, status):
    assert act(page, **action) == status
    assert (limiter.enabled, page.state()["bans"], page.state()["audit"]) == (True, [], [])


@pytest.mark.parametrize(("body", "status"), [(b"", 400), (b"[]", 400), (b"\xff", 400), (b" " * 20_000, 413)])
def test_a_body_that_is_no_action_is_an_error(page, limiter, body, status):
    assert ask(page, "POST", "/actions", body).status == status


def test_there_is_nothing_else(page):
    assert [ask(page, *each).status for each in (("GET", "/x"), ("DELETE", "/"), ("GET", "/login"))] == [404] * 3


def test_a_closed_page_counts_nothing_more(page, limiter):
    page.close()
    assert limiter.finish is None


def test_the_first_answer_has_the_counts_of_all_workers(tmp_path):
    with LMDBBackend(tmp_path / "store") as store, LivePage(token=TOKEN, store=store) as other:
        other.tick()
        with LivePage(token=TOKEN, store=store) as page:
            assert json.loads(ask(page, "GET", "/state").body)["workers"] == 2


def test_a_worker_that_starts_later_follows_the_orders_to_disable(page, limiter):
    def follow(on, when):
        page._actions.follow({"switches": {"mails[1]": [on, when]}})
        return limiter.enabled

    assert (follow(False, 1), follow(True, 2), follow(True, 2**40)) == (False, False, True)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here")
def test_a_forked_worker_counts_from_nothing_with_a_thread_of_its_own(page, limiter):
    limiter.sync.hit("ada")
    assert shown(page)["admitted"] == 1
    read, write = os.pipe()
    if (child := os.fork()) == 0:
        limiter.sync.hit("bob")
        os.write(write, json.dumps([shown(page)["admitted"], page._ticker._thread.is_alive()]).encode())
        os._exit(0)
    assert json.loads(os.read(read, 100)) == [1, True]
    os.waitpid(child, 0)


@pytest.mark.parametrize("minutes", [0, 61, 1.5])
def test_minutes_are_an_integer_from_1_to_60(minutes):
    with pytest.raises(ValueError, match="from 1 to 60"):
        LivePage(token=TOKEN, minutes=minutes)


def test_a_limit_that_is_gone_keeps_its_counts(page):
    Limiter("gone", "1/min", backend=InMemoryBackend()).sync.hit("ada")
    gc.collect()
    page.tick()
    (row,) = (each for each in page.state()["throttles"] if each["throttle"] == "gone")
    assert (row["rate"], row["admitted"]) == ("", 1)


def test_the_earliest_bans_end_if_there_are_too_many(page, limiter, monkeypatch):
    monkeypatch.setattr(actions, "MOST_BANS", 1)
    assert act(page, action="ban", throttle="mails[1]", identity="ada", seconds=60) == 200
    assert act(page, action="ban", throttle="mails[1]", identity="bob", seconds=90) == 200
    assert [limiter.sync.hit(each).degraded for each in ("ada", "bob")] == [None, "banned"]


def test_refusals_of_too_many_clients_at_once_are_not_listed(page, limiter, monkeypatch):
    monkeypatch.setattr(monitors, "_MOST_WAITING", 1)
    for client in ("ada", "bob") * 3:
        limiter.sync.hit(client)
    page.tick()
    assert len(page.state()["clients"]) == 1


class TestTheThread:
    def test_it_logs_what_fails_once_and_goes_on(self, caplog):
        ticker = Ticker(lambda: 1 / 0)
        ticker.start()
        ticker.start()
        for _ in range(3):
            ticker.catch_up(10)
        ticker.close()
        ticker.catch_up()
        assert (ticker._ended >= 3, caplog.text.count("could not be brought up to date")) == (True, 1)


def test_the_first_answer_in_an_event_loop_has_the_counts_of_all_workers(tmp_path):
    with LMDBBackend(tmp_path / "store") as store, LivePage(token=TOKEN, store=store) as page:
        page._ticker.start()
        anyio.run(partial(page._read_others, sync=False))
        assert page._ticker._ended > 0


def test_a_listener_to_actions_is_a_function_and_may_end_twice():
    subscription = subscribe_audits(print)
    assert (subscription.close(), subscription.close()) == (True, True)
    with pytest.raises(TypeError, match="a listener is a function of an event, not 5"):
        subscribe_audits(5)
