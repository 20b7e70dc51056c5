"""The live page of workers that share a server, and of one whose server is away."""

from tests.backends.redis.servers import resolve, server
from tests.live.fleets import check_the_sum_and_an_order
from traffik.backends.redis import RedisBackend
from traffik.live.pages import LivePage


def test_four_workers_show_the_sum_and_follow_an_order():
    with server(binary=resolve()) as one:
        check_the_sum_and_an_order("redis", "RedisBackend", one.url)


def test_without_the_server_a_page_shows_this_worker_and_says_why():
    with RedisBackend("redis://127.0.0.1:1"), LivePage(token="a token of readers") as page:
        page.tick()
        state = page.state()
    assert (state["workers"], state["shared"]) == (1, False)
    assert state["problem"].startswith("the store does not answer")
