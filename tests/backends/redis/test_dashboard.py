"""The dashboard queries metrics, labels and label values that a service really exports to Prometheus."""

from __future__ import annotations

import asyncio
import json
import re
from collections import defaultdict
from pathlib import Path

import pytest

from tests.backends.redis.servers import server
from tests.events.scraping import exporting
from traffik import Limiter
from traffik.backends import probes
from traffik.backends.redis import Breaker, RedisBackend
from traffik.events.records import OUTCOMES

DASHBOARD = json.loads((Path(__file__).parents[3] / "docs/grafana/traffik.json").read_text(encoding="utf-8"))
PANELS = DASHBOARD["panels"]
QUERIES = [target["expr"] for panel in PANELS for target in panel["targets"]]
NAME = re.compile(r"\btraffik_\w+")
MATCHER = re.compile(r'(\w+)(?:=~|!~|!=|=)"([^"]*)"')
GROUPING = re.compile(r"by \(([^)]*)\)")
REASONS = {"overflow", "cached", "fallback", "allow", "unavailable", "on_error", "denied", "other"}


async def work(url):
    """Make hits that are admitted, refused, and decided without the store."""
    async with RedisBackend(url, deadline=10) as store:
        limiter = Limiter("mails", "1/min", backend=store)
        await asyncio.gather(*(limiter.hit("ada") for _ in range(3)))
    away = RedisBackend("redis://127.0.0.1:1", breaker=Breaker(failures=1, recovery=60))
    await Limiter("posts", "1/min", backend=away).hit("ada")


@pytest.fixture(scope="module")
def scraped():
    """The labels of every metric that a service exports: {name: {label: values}}."""
    labels = defaultdict(lambda: defaultdict(set))
    with pytest.MonkeyPatch.context() as patch, server() as one, exporting() as exported:
        patch.setattr(probes, "_PAUSE", 0)
        asyncio.run(work(one.url))
        for sample in (sample for family in exported.families() for sample in family.samples):
            for name, value in sample.labels.items():
                labels[sample.name][name].add(value)
    return labels


@pytest.mark.parametrize("query", QUERIES)
def test_every_metric_and_label_of_a_query_is_exported(query, scraped):
    names = NAME.findall(query)
    assert names
    assert [name for name in names if name not in scraped] == []
    asked = {label for label, _ in MATCHER.findall(query)}
    asked |= {label.strip() for group in GROUPING.findall(query) for label in group.split(",")}
    assert [(name, label) for name in names for label in asked if label not in scraped[name]] == []


@pytest.mark.parametrize("query", QUERIES)
def test_every_label_value_of_a_query_exists(query):
    known = {"outcome": set(OUTCOMES), "reason": REASONS}
    for label, value in MATCHER.findall(query):
        assert value == f"${label}" or set(value.split("|")) <= known[label]


def test_every_legend_names_a_label_of_its_query():
    for target in (target for panel in PANELS for target in panel["targets"]):
        for label in re.findall(r"{{(\w+)}}", target["legendFormat"]):
            assert label in target["expr"]


def test_every_metric_is_on_the_dashboard(scraped):
    shown = {name for query in QUERIES for name in NAME.findall(query)}
    families = {re.sub("_(bucket|count|sum|created)$", "", name) for name in scraped}
    assert {re.sub("_(bucket|count|sum)$", "", name) for name in shown} == families


def test_panels_have_different_ids_and_do_not_overlap():
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in PANELS)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells))
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
