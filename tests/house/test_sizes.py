"""One idea per file, one step per function, and no meaningless names."""

from __future__ import annotations

import ast

LINES_OF_A_FILE = 400
LINES_OF_A_FUNCTION = 40
LINES_OF_A_TEST = 15
NAMES_THAT_SAY_NOTHING = {"common", "helper", "helpers", "misc", "util", "utils"}


def test_no_file_is_too_long(modules):
    lengths = {module.name: len(module.path.read_text().splitlines()) for module in modules}
    assert {name: length for name, length in lengths.items() if length > LINES_OF_A_FILE} == {}


def test_no_function_is_too_long(modules):
    found = {module.name: too_long(functions(module.tree), LINES_OF_A_FUNCTION) for module in modules}
    assert {name: long for name, long in found.items() if long} == {}


def test_no_test_is_too_long(root):
    found = {}
    for path in root.glob("tests/**/test_*.py"):
        tests = [each for each in functions(ast.parse(path.read_text())) if each.name.startswith("test_")]
        found[str(path.relative_to(root))] = too_long(tests, LINES_OF_A_TEST)
    assert {path: tests for path, tests in found.items() if tests} == {}


def test_nothing_is_called_utils(files, root):
    parts = {path: {part.strip("_") for part in path.relative_to(root).with_suffix("").parts} for path in files}
    assert [str(path.relative_to(root)) for path in files if parts[path] & NAMES_THAT_SAY_NOTHING] == []


def functions(tree):
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def too_long(some, most):
    """The lengths of those that are longer than `most` lines."""
    long = [each for each in some if each.end_lineno - each.lineno >= most]
    return {each.name: length(each) for each in long if length(each) > most}


def length(function):
    """The lines of a function, without its docstring and without functions inside it."""
    inside = [span(node) for node in functions(function) if node is not function]
    documented = span(function.body[0]) if ast.get_docstring(function) is not None else set()
    return len(span(function) - documented - set().union(*inside))


def span(node):
    return set(range(node.lineno, node.end_lineno + 1))
