"""Metrics for OpenTelemetry: decisions, and the state of the stores. Needs the extra ``traffik-core[otel]``.

from traffik.events.otel import export_metrics

export_metrics()

| instrument | kind | attributes |
|---|---|---|
| ``traffik.decisions`` | counter | ``throttle``, ``outcome`` |
| ``traffik.decisions.degraded`` | counter | ``throttle``, ``reason`` |
| ``traffik.store.duration`` | histogram, s | ``store`` |
| ``traffik.store.batch.size`` | histogram, hits | ``store`` |
| ``traffik.store.breaker.open`` | gauge, 1 if a breaker is open | ``store`` |
| ``traffik.events.lost`` | counter | ``reason`` |

No attribute holds a client's key. Decisions are counted exactly. Durations and batch sizes are samples: at most
twenty a second for each store.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final, TypeAlias

try:
    from opentelemetry.metrics import CallbackOptions, MeterProvider, Observation, get_meter_provider
except ModuleNotFoundError as _missing:
    raise ImportError(
        "these metrics need opentelemetry: pip install 'traffik-core[otel]'", name=_missing.name
    ) from _missing

from traffik.backends import binding
from traffik.backends.probes import sample_stores, stop_sampling
from traffik.events.delivery import Delivery, lost
from traffik.events.observers import observe, stop_observing
from traffik.events.records import OUTCOMES
from traffik.events.tallies import OTHER, Tallies
from traffik.model.keys import check_pattern

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType
    from typing import Self

__all__ = ["Metrics", "export_metrics"]

_SECONDS: Final = (0.000_01, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
_HITS: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256)
_REASONS: Final = frozenset({"overflow", "cached", "fallback", "allow", "unavailable", "on_error", "denied", "banned"})
_SAMPLES: Final = 4_096

_Sample: TypeAlias = tuple[Any, str, int]
"""A store, the kind of the sample, and its value."""


class Metrics:
    """Metrics that are exported; made by `export_metrics`. Used with ``with``, they end with the block."""

    def __init__(self, provider: MeterProvider, pattern: str, most: int) -> None:
        self._tallies = Tallies(pattern, most)
        self._closed = False
        meter = provider.get_meter("traffik")
        meter.create_observable_counter(
            "traffik.decisions", [self._decisions], "{decision}", "Decisions of throttles and limiters, by outcome"
        )
        meter.create_observable_counter(
            "traffik.decisions.degraded", [self._degraded], "{decision}", "Decisions that are not exact, by reason"
        )
        meter.create_observable_gauge(
            "traffik.store.breaker.open", [self._breakers], "", "1 while the breaker of a store is open, else 0"
        )
        meter.create_observable_counter(
            "traffik.events.lost", [self._lost], "{event}", "Events and samples that were lost, by reason"
        )
        duration = meter.create_histogram(
            "traffik.store.duration",
            "s",
            "How long a call to a store takes",
            explicit_bucket_boundaries_advisory=_SECONDS,
        )
        batch = meter.create_histogram(
            "traffik.store.batch.size", "{hit}", "Hits that share a call", explicit_bucket_boundaries_advisory=_HITS
        )

        def receive(sample: _Sample) -> None:
            store, kind, value = sample
            if kind == "batch":
                batch.record(value, {"store": store.kind})
                return
            duration.record(value / 1e9, {"store": store.kind})

        self._delivery: Delivery[_Sample] = Delivery("the metrics of stores", receive, _SAMPLES, prepare=_resuming)
        observe(self._tallies)
        sample_stores(self._sample)

    def flush(self, timeout: float = 1.0) -> bool:
        """Wait until the samples so far are in the histograms, at most `timeout` seconds; whether they are."""
        return self._delivery.flush(timeout)

    def close(self) -> None:
        """Count no more. The instruments stay with the meter provider, which exports nothing more for them."""
        self._closed = True
        stop_sampling(self._sample)
        stop_observing(self._tallies)
        self._delivery.close(0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _sample(self, store: Any, kind: str, value: int) -> None:
        self._delivery.put((store, kind, value))

    def _decisions(self, options: CallbackOptions) -> Iterable[Observation]:
        for uid, tally in self._open_tallies():
            for outcome, count in zip(OUTCOMES, tally.counts, strict=True):
                if count:
                    yield Observation(count, {"throttle": uid, "outcome": outcome})
            for outcome, count in zip(("shadow-admitted", "shadow-refused"), tally.trials, strict=True):
                if count:
                    yield Observation(count, {"throttle": uid, "outcome": outcome})

    def _degraded(self, options: CallbackOptions) -> Iterable[Observation]:
        for uid, tally in self._open_tallies():
            by_reason: Counter[str] = Counter()
            for reason, count in tuple(tally.degraded.items()):
                by_reason[reason if reason in _REASONS else OTHER] += count
            for reason, count in by_reason.items():
                yield Observation(count, {"throttle": uid, "reason": reason})

    def _open_tallies(self) -> Iterator[tuple[str, Any]]:
        return iter(()) if self._closed else iter(self._tallies)

    def _breakers(self, options: CallbackOptions) -> Iterable[Observation]:
        states: dict[str, bool] = {}
        for store in () if self._closed else binding.stores_made():
            if store.spared is not None:
                states[store.kind] = states.get(store.kind, False) or store.spared
        for kind, is_open in states.items():
            yield Observation(int(is_open), {"store": kind})

    def _lost(self, options: CallbackOptions) -> Iterable[Observation]:
        for reason in () if self._closed else ("dropped", "error"):
            yield Observation(lost[reason], {"reason": reason})


def _resuming(samples: list[_Sample]) -> Iterator[_Sample]:
    """These samples; once they are recorded, their stores take further ones."""
    yield from samples
    for store in {store for store, kind, _ in samples if kind == "duration"}:
        if store.probe is not None:
            store.probe.resume()


def export_metrics(provider: MeterProvider | None = None, *, limit: str = "*", most: int = 200) -> Metrics:
    """Count the decisions of limits and watch their stores, for the exporters of OpenTelemetry.

    Args:
        provider: of the meters; the global one if None.
        limit: a pattern of uids, as for `traffik.group`: which limits to count.
        most: how many uids get their own attribute value, at least 1. Further limits are counted as ``"other"``.

    Raises:
        TypeError, ValueError: an argument is invalid.
    """
    if type(most) is not int or most < 1:
        raise ValueError(f"most is an integer from 1, not {most!r}")
    return Metrics(get_meter_provider() if provider is None else provider, check_pattern(limit), most)
