"""The sketch keeps the most frequent keys in bounded memory, and says how wrong it can be."""

import random
from collections import Counter

from traffik.live.sketches import Heavy, RecentSketch, SpaceSaving


def test_few_keys_are_counted_exactly():
    sketch = SpaceSaving(3)
    for key in "aabca":
        sketch.add(key)
    assert sketch.top() == [Heavy("a", 3, 0), Heavy("b", 1, 0), Heavy("c", 1, 0)]


def test_frequent_keys_survive_many_rare_ones():
    chance, sketch, exact = random.Random(3), SpaceSaving(50), Counter()
    for _ in range(20_000):
        key = f"hot:{chance.randrange(5)}" if chance.random() < 0.3 else f"rare:{chance.randrange(10**6)}"
        exact[key] += 1
        sketch.add(key)
    top = sketch.top()
    assert len(top) == 50
    assert {key for key, _ in exact.most_common(5)} <= {each.key for each in top}
    assert all(each.times - each.error <= exact[each.key] <= each.times for each in top)


def test_old_counts_are_forgotten():
    sketch = RecentSketch(10, span=60)
    sketch.add("a", 5, now=0)
    sketch.add("b", 1, now=70)
    assert [each.key for each in sketch.top(10, now=70)] == ["a", "b"]
    assert [each.key for each in sketch.top(1, now=131)] == ["b"]
    assert sketch.top(10, now=400) == []
