"""The distributions agree with each other, and carry what they must."""

from __future__ import annotations

import subprocess
import sys
import tomllib
import zipfile

import pytest

PACKAGES = ["core", "starlette_adapter"]


def test_every_distribution_is_known_here(root):
    assert sorted(path.parent.name for path in root.glob("packages/*/pyproject.toml")) == PACKAGES


def test_versions_agree(root):
    assert len({project(root, package)["version"] for package in PACKAGES}) == 1


def test_an_extra_names_the_very_version_of_its_adapter(root):
    core, adapter = (project(root, package) for package in PACKAGES)
    assert core["optional-dependencies"]["starlette"] == [f"{adapter['name']}=={adapter['version']}"]
    assert f"{core['name']}=={core['version']}" in adapter["dependencies"]


def test_the_core_needs_no_framework(root):
    names = [requirement.partition(">")[0] for requirement in project(root, "core")["dependencies"]]
    assert names == ["anyio", "typing-extensions"]


@pytest.mark.parametrize("package", PACKAGES)
def test_a_wheel_carries_the_license_and_its_types(package, root, tmp_path):
    build = "import sys, hatchling.build as backend; backend.build_wheel(sys.argv[1])"
    subprocess.run([sys.executable, "-c", build, tmp_path], cwd=root / "packages" / package, check=True)
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        inside = {name.rpartition("/")[2]: wheel.read(name) for name in wheel.namelist()}
    assert inside["LICENSE"] == (root / "LICENSE").read_bytes()
    assert "py.typed" in inside


def project(root, package):
    return tomllib.loads((root / "packages" / package / "pyproject.toml").read_text())["project"]
