"""The tree does not depend on a machine or a package index."""

from __future__ import annotations

import re

# With brackets, so that the patterns do not match this file.
SOURCES = re.compile(r"index-[u]rl|find-[l]inks|--hash=sha[2]56")
MACHINES = re.compile(r"(?<![\w.}])/(home|root|work|Users|opt|mnt)/\w")


def test_no_file_names_a_package_registry(files, root):
    assert mentions(SOURCES, files, root) == []


def test_no_file_names_a_place_on_one_machine(files, root):
    assert mentions(MACHINES, files, root) == []


def test_every_pin_is_a_plain_version(root):
    lines = (root / "constraints.txt").read_text().splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert [pin for pin in pins if not re.fullmatch(r"[\w.-]+==[\w.]+( ; .+)?", pin)] == []


def test_every_example_compiles(files, root):
    examples = [path for path in files if path.is_relative_to(root / "examples") and path.suffix == ".py"]
    assert examples
    for path in examples:
        compile(path.read_text(), path, "exec")


def mentions(pattern, files, root):
    """Each line of a text file in which the pattern occurs, as `file:line: text`."""
    found = []
    for path in files:
        text = path.read_bytes().decode("utf-8", errors="ignore")
        for number, line in enumerate(text.splitlines(), 1):
            if pattern.search(line):
                found.append(f"{path.relative_to(root)}:{number}: {line.strip()}")
    return found
