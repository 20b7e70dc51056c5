"""The line of the user's code is the nearest one outside the library."""

from __future__ import annotations

import _thread
from queue import SimpleQueue

from traffik.model.places import place_of_caller

OURS = {"__name__": "traffik.inner", "place_of_caller": place_of_caller}
exec("def make(keep): keep(place_of_caller())", OURS)


def test_the_place_is_the_line_of_the_caller():
    assert place_of_caller() == f"{__file__}:15"


def test_code_of_the_library_is_passed_over():
    found = []
    OURS["make"](found.append)
    assert found == [f"{__file__}:20"]


def test_without_code_of_a_user_the_place_is_unknown():
    found = SimpleQueue()
    _thread.start_new_thread(OURS["make"], (found.put,))  # nothing has called it
    assert found.get(timeout=10) == "unknown"
