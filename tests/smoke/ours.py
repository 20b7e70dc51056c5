"""Checks that the module `traffik` of this environment comes from our distribution, and prints its version."""

import sys
from importlib.metadata import distribution, packages_distributions
from pathlib import Path

import traffik

core = distribution("traffik-core")
imported = Path(traffik.__file__ or "")
assert packages_distributions()["traffik"] == ["traffik-core"], packages_distributions()["traffik"]
assert "traffik/__init__.py" in {path.as_posix() for path in core.files or ()}
assert imported.samefile(str(core.locate_file("traffik/__init__.py"))), imported
assert imported.is_relative_to(sys.prefix), imported
print(core.version)
