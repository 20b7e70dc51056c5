"""Runs the same steps of a key with the Python kernels and with their Lua twins."""

from __future__ import annotations

import json
from functools import cache
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple

import traffik.strategies
from tests.strategies.lua.shims import pack, runtime
from traffik import SlidingLog, SlidingWindow
from traffik.backends.redis.states import rates_text
from traffik.strategies import probe
from traffik.strategies.calendar_window import CALENDAR

HERE = Path(__file__).parent
THERE = Path(traffik.strategies.__file__).parent
KERNELS = ["calendar_window", "fixed_window", "meter", "sliding_counter", "sliding_window"]

SPOILS = [
    b"\x00" * 12,
    b"",
    b"x",
    b"\xff" * 11,
    b"\x93\x01\x02\x03",
    b"\x00\x01\x02",
    b"\x01\xcb" + b"\x7f" * 8,
    b"\x01\xff\xff",
    b"??",
]
"""Parts that no kernel has written."""


class Step(NamedTuple):
    operation: str
    place: int
    cost: int
    now: int
    back: int = 0


class Walk(NamedTuple):
    """Steps of one key. The place of a step is the number of its plan."""

    plans: list
    steps: list[Step]

    @property
    def texts(self):
        """The plans and the steps, as text for the script."""
        plans = json.dumps([[rates_text(plan), twins_of(plan, self.steps)] for plan in self.plans])
        return plans, "".join("{} {} {} {} {}\n".format(*step) for step in self.steps)


def twins_of(plan, steps):
    """The twins of a plan. Rates of the calendar have all windows of the walk."""
    first, last = (choose(step.now for step in steps) for choose in (min, max))
    twins = []
    for twin, rate in zip(plan.twins, plan.rates, strict=True):
        starts = list(rate.calendar.around(first)) if rate.calendar else []
        while starts and starts[-3] <= last:
            starts.append(rate.calendar.at(starts[-1])[1])
        twins.append([twin.name, [*twin.numbers, *starts]])
    return twins


def script():
    """The twins and the walk, as one script."""
    twins = [source(name) for name in ("exact", *KERNELS, "turns", "plans", "settling")]
    return "\n".join([*twins, (HERE / "walk.lua").read_text()])


def source(name):
    return (THERE / f"{name}.lua").read_text()


@cache
def walk_in_lua():
    return runtime().execute(f"{script()}\nreturn walk".encode())


def by_lua(walk):
    """Run a walk with the twins, in Lua without a server; the results."""
    plans, steps = walk.texts
    lines, written = walk_in_lua()(plans.encode(), steps.encode(), runtime().table_from(SPOILS)).values()
    return answers(walk, lines, written.values())


def by_server(walk, client):
    """Run a walk with the twins inside a Redis or Valkey server; the results."""
    program = f"{script()}\nreturn walk(ARGV[1], ARGV[2], {{ unpack(ARGV, 3) }})"
    lines, written = client.eval(program, 0, *walk.texts, *SPOILS)
    return answers(walk, lines, written)


def answers(walk, lines, parts):
    """The lines of a script, each with the parts of the state that it reports. A damaged part counts as none."""
    slides = isinstance(walk.plans[0].strategy, SlidingWindow | SlidingLog)
    left = (logged(part) if slides and not calendar(part) else part for part in map(undamaged, parts))
    return [(line, list(islice(left, int(line.rpartition(" ")[2])))) for line in lines.decode().split("\n")]


def undamaged(part):
    return b"" if part in SPOILS else part


def calendar(part):
    """Whether a part kept as text is that of a calendar window, which begins with a period of 8 bytes."""
    return part[:1] == b"\xcf"


def by_python(walk):
    """Run a walk with the Python kernels; the results in the form of the twins."""
    key = PythonKey(flat if isinstance(walk.plans[0].strategy, SlidingWindow | SlidingLog) else packed)
    for step in walk.steps:
        if step.operation == "forget":
            key.state = None
        elif step.operation == "spoil":
            key.spoil(step.place)
        else:
            key.take(step.operation, walk.plans[step.place - 1], step)
    return key.found


class PythonKey:
    """A key, kept in the same way as in walk.lua."""

    def __init__(self, encoded):
        self.encoded, self.state, self.found, self.remembered = encoded, None, [], []

    def spoil(self, place):
        if self.state and place <= len(self.state) - 2:
            self.state = (*self.state[: place + 1], None, *self.state[place + 2 :])

    def take(self, operation, plan, step):
        # A quiet hit does not report the state, which is large for a long log.
        if operation == "probe":
            self.tell(operation, plan, probe(plan.kernel, self.state, step.now), None, 0)
        elif operation == "earliest":
            self.say("earliest", plan.earliest(self.state, [step.cost, 1, step.cost], step.now))
        elif operation == "settle":
            self.settle(plan, step)
        elif operation == "take":
            *answer, granted = plan.take_up_to(self.state, step.cost, step.now)
            self.hit(operation, plan, granted, *answer)
        else:
            self.hit(operation, plan, None, *plan.kernel(self.state, step.cost, step.now))

    def hit(self, operation, plan, granted, decision, changed, ttl):
        if decision.allowed and operation in {"hit", "take"}:
            self.remembered.append((plan, plan.receipt(self.state, changed)))
            self.say("receipts", chain(*self.remembered[-1][1]))
        if operation in {"hit", "take"}:
            self.say("granted", () if granted is None else (granted,))
        self.tell(operation, plan, decision, changed, ttl)

    def settle(self, plan, step):
        known = 0 < step.back <= len(self.remembered)
        plan, receipts = self.remembered[-step.back] if known else (plan, None)
        settled = plan.settle(self.state, step.cost, receipts, step.now)
        self.say("applied", (settled.applied,))
        self.tell("settle", plan, settled.decision, settled.state, settled.ttl if settled.state else 0)

    def say(self, word, numbers):
        self.found.append((" ".join(map(str, (word, *numbers, 0))), []))

    def tell(self, operation, plan, decision, changed, ttl):
        if changed is not None and operation != "check":
            self.state = changed
        former = () if changed is None else changed[1]
        if former:
            self.say("until", (until for _, until, _ in former))
        left = () if changed is None or operation == "quiet" else (*changed[2:], *(part for *_, part in former))
        self.found.append((as_line(plan, decision, ttl, left), [self.encoded(part) for part in left]))


def as_line(plan, decision, ttl, changed):
    binding = plan.rates.index(decision.rate) + 1
    return f"{decision[0]:d} {decision[2]} {decision[3]} {decision[4]} {binding} {ttl} {len(changed)}"


def packed(part):
    if part is None:
        return b""
    if part[0] == CALENDAR:
        return pack(*part[1:])
    return pack(*(part[:3] if part[3:] == (0,) else part))  # without a previous window the form is shorter


def flat(part):
    """The period and the moments with their units of a log kept in tuples."""
    if part is None:
        return []
    if part[0] == CALENDAR:
        return packed(part)
    period, before, last, count, older = part
    _, tail, skip, blocks = older if older and isinstance(older[1], tuple) else (0, older or (), 0, ())
    numbers = [*list(chain(*blocks))[skip:], *tail, last, count]
    return [period, *units(before, list(batched(numbers)))]


def logged(part):
    """The period and the moments with their units of a log kept as text."""
    if not part:
        return []
    width, period, before = part[0], number(part[1:8]), number(part[8 : 8 + part[0]])
    starts = range(8 + width, len(part), 7 + width)
    moments = [(number(part[start : start + 7]), number(part[start + 7 : start + 7 + width])) for start in starts]
    return [period, *units(before, moments, modulus={2: 2**16, 4: 2**32, 7: 2**52}[width])]


def batched(numbers):
    return zip(numbers[::2], numbers[1::2], strict=True)


def units(before, moments, modulus=2**99):
    """Convert moments with running counts to moments with units."""
    counts = [before, *(count for _, count in moments)]
    return [(time, (after - before) % modulus) for (time, after), before in zip(moments, counts, strict=False)]


def number(text):
    return int.from_bytes(text, "little")
