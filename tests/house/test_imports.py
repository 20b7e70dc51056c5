"""The modules that importing traffik loads, with everything it exports.

The contracts in pyproject.toml check the imports between modules.
"""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from graphlib import TopologicalSorter

import pytest

FRAMEWORKS = {"aiohttp", "django", "fastapi", "starlette"}
CLIENT_OF_AIOHTTP = "traffik.pacing.aiohttp"
SLOW = {"anyio", "asyncio", "importlib.metadata"}

# Modules loaded before do not count, since an environment may load some when Python starts.
PROGRAM = """
import sys
from graphlib import TopologicalSorter
before = set(sys.modules)
from {} import *
brought = sorted(set(sys.modules) - before)
import json
print(json.dumps(brought))
"""


def test_importing_the_core_loads_no_framework_and_nothing_slow():
    assert brought("traffik") & (FRAMEWORKS | SLOW) == set()


def test_importing_the_in_memory_store_loads_no_framework_and_nothing_slow():
    assert brought("traffik.backends.inmemory") & (FRAMEWORKS | SLOW) == set()


@pytest.mark.parametrize("framework", ["aiohttp", "django", "starlette"])
def test_importing_an_adapter_loads_its_framework(framework):
    assert brought(f"traffik_{framework}") >= {framework}


def test_the_core_imports_no_framework_even_for_types(modules):
    core = [module for module in modules if module.dist == "core"]
    assert [module.name for module in core if imported(module.tree) & FRAMEWORKS] == [CLIENT_OF_AIOHTTP]


def brought(module):
    """The modules that importing `module` adds to a fresh interpreter."""
    program = [sys.executable, "-I", "-c", PROGRAM.format(module)]
    return set(json.loads(subprocess.run(program, check=True, capture_output=True, text=True).stdout))


def imported(tree):
    """The top-level packages that a module imports, also inside functions."""
    nodes = list(ast.walk(tree))
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    named = {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
    return {name.partition(".")[0] for name in plain | named}


def test_no_module_imports_itself_through_others(modules):
    known = {module.name for module in modules}
    imports = {module.name: set(used_by(module, known)) - {module.name} for module in modules}
    TopologicalSorter(imports).prepare()  # raises CycleError, with the circle


def used_by(module, known):
    """The modules that a module imports on import or for its types. A function may import what imports its module."""
    blocks = [module.tree, *(node for node in module.tree.body if isinstance(node, ast.If | ast.Try))]
    for node in (each for block in blocks for each in block.body):
        if isinstance(node, ast.Import):
            yield from known & {each.name for each in node.names}
        elif isinstance(node, ast.ImportFrom):
            for each in node.names:
                inner = f"{node.module}.{each.name}"
                yield from known & {inner if inner in known else node.module}
