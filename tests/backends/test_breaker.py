"""The breaker, with times as arguments."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from traffik.backends.resilience.breaker import Breaker, Circuit


@pytest.fixture
def circuit():
    return Circuit(Breaker(failures=3, recovery=2.0))


def fail(circuit, times, now=100.0):
    return [circuit.failed(now) for _ in range(times)]


def test_it_opens_after_a_number_of_failures(circuit):
    assert (fail(circuit, 3), circuit.closed) == ([False, False, True], False)


def test_a_success_resets_the_count_of_failures(circuit):
    fail(circuit, 2)
    assert circuit.succeeded() is False
    assert (fail(circuit, 2), circuit.closed) == ([False, False], True)


def test_while_closed_it_admits_everything(circuit):
    fail(circuit, 2)
    assert (circuit.admits(100.0), circuit.admits(0.0), circuit.wait(100.0)) == (True, True, 0.0)


def test_while_open_it_admits_nothing_until_the_recovery(circuit):
    fail(circuit, 3)
    assert [circuit.admits(now) for now in (100.0, 101.0, 101.999)] == [False] * 3
    assert [circuit.wait(now) for now in (100.0, 101.5, 102.0, 103.0)] == [2.0, 0.5, 0.0, 0.0]


def test_after_the_recovery_it_admits_a_single_probe(circuit):
    fail(circuit, 3)
    assert [circuit.admits(102.0) for _ in range(3)] == [True, False, False]


def test_one_of_many_threads_gets_the_probe(circuit):
    fail(circuit, 3)
    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(circuit.admits, [102.0] * 200)) == 1


def test_a_successful_probe_closes_it(circuit):
    fail(circuit, 3)
    circuit.admits(102.0)
    assert (circuit.succeeded(), circuit.closed, circuit.succeeded()) == (True, True, False)
    assert fail(circuit, 2) == [False, False]


def test_a_failed_probe_keeps_it_open_for_the_same_time(circuit):
    fail(circuit, 3)
    circuit.admits(102.0)
    assert (circuit.failed(102.5), circuit.closed) == (False, False)
    assert [circuit.admits(now) for now in (104.4, 104.5)] == [False, True]


def test_after_a_lost_probe_another_is_admitted(circuit):
    fail(circuit, 3)
    assert [circuit.admits(now) for now in (102.0, 103.9, 104.0)] == [True, False, True]


@pytest.mark.parametrize("failures", [0, -1, 1.0, True, "5"])
def test_failures_are_an_integer_from_1(failures):
    with pytest.raises(ValueError, match="an integer from 1, not"):
        Breaker(failures=failures)


@pytest.mark.parametrize("recovery", [0, -1.0, float("nan"), True, "1"])
def test_a_recovery_is_a_number_above_0(recovery):
    with pytest.raises(ValueError, match="seconds above 0, not"):
        Breaker(recovery=recovery)


def test_a_signal_handler_may_use_it_while_its_own_thread_does(circuit):
    with circuit._lock:
        assert circuit._lock.acquire(blocking=False)  # otherwise the next line would wait for ever
        assert fail(circuit, 3) == [False, False, True]
        circuit._lock.release()


def test_a_breaker_that_another_thread_closes_meanwhile_admits(circuit):
    class Closing:
        def __enter__(self):
            circuit.closed = True

        def __exit__(self, *error):
            pass

    fail(circuit, 3)
    circuit._lock = Closing()
    assert circuit.admits(0)
