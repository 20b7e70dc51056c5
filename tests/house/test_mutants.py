"""What the mutation tests cover: every module that decides."""

from __future__ import annotations

import tomllib

import pytest

from tests.mutants.run import ROOMS, ROOT, SURVIVORS

SOURCE = ROOT / "packages/core/src/traffik"
DECIDING = [
    *(each for room in ("identities", "rules", "strategies") for each in (SOURCE / room).glob("*.py")),
    *(SOURCE / f"{each}.py" for each in ("model/keys", "model/rates", "responses/headers", "responses/retry_fields")),
]


@pytest.mark.parametrize("module", [each for each in DECIDING if each.stem != "__init__"], ids=lambda each: each.stem)
def test_every_module_that_decides_has_its_mutants_tested(module):
    path = module.relative_to(SOURCE).with_suffix("")
    assert [name for name, room in ROOMS.items() if any(path.match(each) for each in room.modules)]


@pytest.mark.parametrize("name", ROOMS)
def test_the_modules_and_tests_of_each_room_exist(name):
    room = ROOMS[name]
    assert all([*SOURCE.glob(f"{each}.py")] for each in room.modules)
    assert all((ROOT / each).exists() for each in room.tests)


def test_the_code_of_every_explained_mutant_exists():
    lines = {line.strip() for file in SOURCE.rglob("*.py") for line in file.read_text().splitlines()}
    explained = tomllib.loads(SURVIVORS.read_text())["survivor"]
    assert [each["function"] for each in explained if each["code"] not in lines] == []
