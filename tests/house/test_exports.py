"""Each public name is defined in one module, and `__all__` is exact."""

from __future__ import annotations

import ast
import importlib
from collections import Counter

from django.conf import settings

PRESCRIBED = {"Command"}  # Django finds a management command by this name


def test_every_public_module_lists_its_exports(modules):
    assert [module.name for module in modules if module.public and exports(module) is None] == []


def test_no_public_name_is_left_out(modules):
    public = [module for module in modules if module.public]
    assert [f"{m.name}.{name}" for m in public for name in sorted(defined(m) - set(exports(m) or ()))] == []


def test_a_module_that_is_not_a_package_exports_only_what_it_defines(modules):
    plain = [module for module in modules if module.public and not module.is_package]
    assert [f"{m.name}.{name}" for m in plain for name in sorted(set(exports(m) or ()) - defined(m))] == []


def test_every_export_exists(modules):
    if not settings.configured:  # REST framework reads Django's settings on import
        settings.configure()
    loaded = [importlib.import_module(module.name) for module in modules if module.public]
    assert [f"{m.__name__}.{name}" for m in loaded for name in m.__all__ if not hasattr(m, name)] == []


def test_no_public_name_is_defined_twice_in_a_distribution(modules):
    homes = Counter((m.dist, name) for m in modules for name in set(exports(m) or ()) & defined(m))
    assert [name for name, count in homes.items() if count > 1 and name[1] not in PRESCRIBED] == []


def test_no_export_is_listed_twice(modules):
    assert [m.name for m in modules if len(exports(m) or ()) != len(set(exports(m) or ()))] == []


def test_there_are_no_star_imports(modules):
    stars = [
        f"{module.name}:{node.lineno}"
        for module in modules
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ImportFrom) and node.names[0].name == "*"
    ]
    assert stars == []


def exports(module):
    """The names in `__all__`, or None without one."""
    for node in module.tree.body:
        if "__all__" in bound(node):
            return ast.literal_eval(node.value)
    return None


def defined(module):
    """The names without an underscore that the module defines."""
    names = {name for node in module.tree.body for name in bound(node)}
    return {name for name in names if not name.startswith("_")} - {"TYPE_CHECKING"}


def bound(node):
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return {name}
        case ast.Assign(targets=targets):
            return {target.id for target in targets if isinstance(target, ast.Name)}
        case ast.AnnAssign(target=ast.Name(id=name)):
            return {name}
        case _:
            return set()
