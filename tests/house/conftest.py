"""The source files as plain data, and the modules as syntax trees, without importing them."""

from __future__ import annotations

import ast
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Module:
    """A source file of a distribution."""

    dist: str
    name: str
    path: Path
    tree: ast.Module

    @property
    def public(self) -> bool:
        return not any(part.startswith("_") for part in self.name.split("."))

    @property
    def is_package(self) -> bool:
        return self.path.name == "__init__.py"


@cache
def read_modules() -> tuple[Module, ...]:
    found = []
    for source in sorted(ROOT.glob("packages/*/src")):
        for path in sorted(source.rglob("*.py")):
            parts = path.relative_to(source).with_suffix("").parts
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            found.append(Module(source.parent.name, name, path, ast.parse(path.read_text())))
    return tuple(found)


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture
def modules() -> tuple[Module, ...]:
    """Every module of every distribution."""
    return read_modules()


@pytest.fixture
def files() -> list[Path]:
    """Every file under version control, and every new file that git does not ignore."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [path for name in listed.split("\0") if name and (path := ROOT / name).is_file()]
