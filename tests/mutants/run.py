"""Mutation tests of the pure modules: change the code in one small place, and see whether a test fails.

The work is done by mutmut, in copies of the code and the tests in a temporary folder. A mutant that no test finds must
be listed in `survivors.toml` with the reason, otherwise this program fails. It also fails if a listed mutant no longer
survives. The text of errors is not mutated: tests need not know it by heart.

Arguments: the rooms to test, such as ``keys``; all if there are none.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent.parent
SURVIVORS = Path(__file__).parent / "survivors.toml"
SECONDS = 3600  # for one room

# The tests of all strategies, without the Lua twins, which take longer than all others together.
ALL_KINDS = ("strategies", "twins", "rate_changes", "clock_going_back", "giving_back", "charging_anyway", "never")


def of_strategies(*names: str) -> tuple[str, ...]:
    """The named tests of strategies."""
    return tuple(f"tests/strategies/test_{name}.py" for name in names)


class Room(NamedTuple):
    """Modules, as patterns below `traffik`, and the tests that must find their mutants."""

    modules: tuple[str, ...]
    tests: tuple[str, ...]


ROOMS = {
    "keys": Room(("model/keys",), ("tests/model/test_keys.py",)),
    "rates": Room(
        tuple(f"model/{name}" for name in ("rates", "units", "calendars", "costs", "decisions")),
        tuple(f"tests/model/test_{name}.py" for name in ("rates", "units", "calendars", "costs", "decisions")),
    ),
    "headers": Room(("responses/headers", "responses/retry_fields"), ("tests/responses",)),
    "forwarding": Room(("identities/forwarding",), ("tests/identities/test_forwarding.py",)),
    "identifiers": Room(("identities/identifiers", "identities/preparing"), ("tests/identities/test_identifiers.py",)),
    "networks": Room(
        tuple(f"identities/{name}" for name in ("networks", "proxies", "trust")),
        tuple(f"tests/identities/test_{name}.py" for name in ("networks", "proxies", "trust", "identifiers")),
    ),
    "rules": Room(("rules/*",), ("tests/rules",)),
    "base": Room(("strategies/base",), of_strategies("base")),
    "named": Room(("strategies/named",), of_strategies("named")),
    "slicing": Room(("strategies/slicing",), of_strategies("slicing")),
    "plans": Room(("strategies/plans",), of_strategies("plans", "plan_families", "plan_settling", "twins")),
    "turns": Room(("strategies/turns",), of_strategies("turns", "plan_families")),
    "settling": Room(("strategies/settling",), of_strategies("settling", "plans", "plan_settling", "rate_changes")),
    "sliding_window": Room(("strategies/sliding_window",), of_strategies("sliding_window", "moments", "twins")),
    "moments": Room(("strategies/moments",), of_strategies("sliding_window", "moments", *ALL_KINDS)),
    "meter": Room(("strategies/meter",), of_strategies("meter", *ALL_KINDS)),
    "fixed_window": Room(("strategies/fixed_window",), of_strategies("fixed_window", "twins")),
    "sliding_counter": Room(("strategies/sliding_counter",), of_strategies("sliding_counter", "twins")),
    "calendar_window": Room(("strategies/calendar_window",), of_strategies("calendar_window")),
    "penalty": Room(("strategies/penalty",), of_strategies("penalty_states")),
}

SETTINGS = """\
[tool.pytest.ini_options]
addopts = ["--import-mode=importlib", "-p", "no:cacheprovider", "-p", "no:traffik", "-p", "no:valkey"]
pythonpath = [".", "src"]
filterwarnings = ["error"]
timeout = 60

[tool.mutmut]
source_paths = ["src"]
only_mutate = {modules}
pytest_add_cli_args = ["-x", "-q", "--tb=native"]
pytest_add_cli_args_test_selection = {tests}
do_not_mutate_patterns = [
    '^\\s*raise ',
    '^\\s*_refuse\\(',
    '^\\s*return place, "',
    '^\\s*f?".*"\\)?$',
    'Error\\($',
    'Error\\(f?"',
]
timeout_constant = 5.0
use_git_change_detection = false
track_dependencies = false
"""


# Mutants are tested in forks of a process that has collected the tests before. There each test is chosen by its id, and
# one that is not found would count as a test that failed.
CHOOSE = """
import json, sys, pytest
ids = [*json.load(open("mutmut-stats.json"))["duration_by_test"]]
options = ["--collect-only", "-qqq"]
pytest.main([*options, *sys.argv[1:]])
sys.exit(pytest.main([*options, *ids]))
"""


class Mutant(NamedTuple):
    """A mutant as a person sees it. The numbers of mutmut change with each edit of a function."""

    function: str
    code: str
    mutated: str


def main(names: list[str]) -> int:
    """Test the named rooms, and print what is wrong."""
    known = {Mutant(each["function"], each["code"], each["mutated"]) for each in explained()}
    complaints = 0
    for name in names or ROOMS:
        found = survivors(name, ROOMS[name])
        unexplained = [each for each in found if each not in known]
        stale = [each for each in known if lives_in(each, ROOMS[name]) and each not in found]
        for each in unexplained:
            print(f"survives: {each.function}\n  - {each.code}\n  + {each.mutated}")  # noqa: T201 - a program
        for each in stale:
            print(f"listed, but found: {each.function}\n  + {each.mutated}")  # noqa: T201 - a program
        complaints += len(unexplained) + len(stale)
    return min(complaints, 1)


def explained() -> list[dict[str, str]]:
    """The listed mutants. Each has a reason."""
    listed: list[dict[str, str]] = tomllib.loads(SURVIVORS.read_text()).get("survivor", [])
    for each in listed:
        if not each.get("reason", "").strip():
            raise SystemExit(f"{SURVIVORS.name} gives no reason for {each}")
    return listed


def lives_in(mutant: Mutant, room: Room) -> bool:
    """Whether a mutant is one of the modules of a room."""
    path = mutant.function.removeprefix("traffik.").rpartition(".")[0].replace(".", "/")
    return any(Path(path).match(pattern) or Path(path).parent.match(pattern) for pattern in room.modules)


def survivors(name: str, room: Room) -> list[Mutant]:
    """Run the mutants of a room; those that no test found, a mutant that no test runs included."""
    with TemporaryDirectory(prefix=f"traffik-mutants-{name}-") as temporary:
        home = Path(temporary)
        copy_tree(ROOT / "packages/core/src", home / "src")
        copy_tree(ROOT / "tests", home / "tests")
        modules = [f"src/traffik/{module}.py" for module in room.modules]
        (home / "pyproject.toml").write_text(SETTINGS.format(modules=modules, tests=list(room.tests)))
        with (home / "log").open("w") as log:
            ended = mutmut(home, "run", "--max-children", "1", stdout=log, stderr=log, timeout=SECONDS)
        if ended.returncode:
            raise SystemExit(f"mutmut failed on {name}:\n{(home / 'log').read_text()[-3000:]}")
        check_ids(home, room)
        lines = mutmut(home, "results", "--all", "true", stdout=subprocess.PIPE).stdout.split("\n")
        statuses = dict(line.strip().split(": ") for line in lines if ": " in line)
        print(name, dict(Counter(statuses.values())), flush=True)  # noqa: T201 - a program
        alive = [each for each, status in statuses.items() if status in {"survived", "no tests", "suspicious"}]
        return [shown(home, each) for each in alive]


def check_ids(home: Path, room: Room) -> None:
    """Check that each test can be chosen by its id after the first collection, which escapes written ids anew."""
    command = [sys.executable, "-c", CHOOSE, *room.tests]
    environ = {**os.environ, "TRAFFIK_HYPOTHESIS": "mutants", "PYTHONPATH": "", "MUTANT_UNDER_TEST": ""}
    done = subprocess.run(command, cwd=home / "mutants", env=environ, text=True, capture_output=True, check=False)
    if done.returncode:
        raise SystemExit(f"tests have ids by which they are not found, such as one with a backslash: {done.stderr}")


def copy_tree(source: Path, target: Path) -> None:
    """Copy a folder without what Python has compiled."""
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "mutants"))


def mutmut(home: Path, *words: str, **options: object) -> subprocess.CompletedProcess[str]:
    """Run mutmut in a folder."""
    environ = {**os.environ, "TRAFFIK_HYPOTHESIS": "mutants", "PYTHONPATH": ""}
    command = [sys.executable, "-m", "mutmut", *words]
    return subprocess.run(command, cwd=home, env=environ, text=True, check=False, **options)


def shown(home: Path, name: str) -> Mutant:
    """A mutant by the name that mutmut gave it."""
    diff = mutmut(home, "show", name, stdout=subprocess.PIPE).stdout.splitlines()
    changed = [line for line in diff if line[:1] in "+-" and line[:3] not in {"+++", "---"}]
    code, mutated = ("\n".join(line[1:].strip() for line in changed if line[0] == sign) for sign in "-+")
    function = name.partition("__mutmut_")[0]
    return Mutant(function.replace(".x_", ".").replace("xǁ", "").replace("ǁ", "."), code, mutated)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
