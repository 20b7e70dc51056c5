"""The distributions agree with each other, and contain the necessary files."""

from __future__ import annotations

import subprocess
import sys
import tomllib
import zipfile
from functools import cache

import pytest
import yaml

import traffik
from traffik import testing
from traffik.notices import DOCS

ADAPTERS = {
    "aiohttp": "aiohttp_adapter",
    "asgi": "asgi_adapter",
    "cli": "cli",
    "django": "django_adapter",
    "starlette": "starlette_adapter",
    "wsgi": "wsgi_adapter",
}
PACKAGES = ["core", *ADAPTERS.values()]


@pytest.fixture(scope="module")
def wheel_of(root, tmp_path_factory):
    """Builds the wheel of a package, once; the files in it, by the last part of their names."""

    @cache
    def wheel_of(package):
        folder = tmp_path_factory.mktemp(package)
        build = "import sys, hatchling.build as backend; backend.build_wheel(sys.argv[1])"
        subprocess.run([sys.executable, "-c", build, folder], cwd=root / "packages" / package, check=True)
        with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
            return {name.rpartition("/")[2]: wheel.read(name) for name in wheel.namelist()}

    return wheel_of


def test_every_distribution_is_known_here(root):
    assert {path.parent.name for path in root.glob("packages/*/pyproject.toml")} == set(PACKAGES)


def test_versions_agree(root):
    assert len({project(root, package)["version"] for package in PACKAGES}) == 1


def test_the_module_knows_its_version(root):
    assert traffik.__version__ == project(root, "core")["version"]


def test_every_package_the_site_and_the_notices_name_the_same_addresses(root):
    urls = [project(root, package)["urls"] for package in PACKAGES]
    site = yaml.safe_load((root / "mkdocs.yml").read_text())
    assert urls == [urls[0]] * len(PACKAGES)
    assert (urls[0]["Documentation"], urls[0]["Source"]) == (site["site_url"], site["repo_url"])
    assert urls[0]["Documentation"] == DOCS


@pytest.mark.parametrize("extra", ADAPTERS)
def test_an_extra_has_the_exact_version_of_its_adapter(root, extra):
    core, adapter = project(root, "core"), project(root, ADAPTERS[extra])
    assert core["optional-dependencies"][extra] == [f"{adapter['name']}=={adapter['version']}"]
    assert f"{core['name']}=={core['version']}" in adapter["dependencies"]


def test_the_core_needs_no_framework(root):
    names = [requirement.partition(">")[0] for requirement in project(root, "core")["dependencies"]]
    assert names == ["anyio", "typing-extensions"]


@pytest.mark.parametrize("package", PACKAGES)
def test_a_wheel_contains_the_license_and_its_types(package, root, wheel_of):
    inside = wheel_of(package)
    assert inside["LICENSE"] == (root / "LICENSE").read_bytes()
    assert "py.typed" in inside


@pytest.mark.parametrize(
    ("package", "kind"),
    [
        ("core", "lua"),
        ("core", "json"),
        ("core", "html"),
        ("core", "css"),
        ("core", "js"),
        ("cli", "css"),
        ("cli", "js"),
    ],
)
def test_a_wheel_contains_the_files_that_are_not_python(package, kind, root, wheel_of):
    sources = {path.name: path.read_bytes() for path in root.glob(f"packages/{package}/src/**/*.{kind}")}
    inside = wheel_of(package)
    assert sources
    assert {name: inside.get(name) for name in sources} == sources


def project(root, package):
    return tomllib.loads((root / "packages" / package / "pyproject.toml").read_text())["project"]


@pytest.mark.parametrize("module", [traffik, testing])
def test_a_module_lists_its_names_and_has_no_others(module):
    assert set(module.__all__) <= set(dir(module))
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        module.nothing  # noqa: B018 - the error is meant
