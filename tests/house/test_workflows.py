"""The workflows run what `.ci/run` runs, and verbs that exist."""

from __future__ import annotations

import re

import yaml

VERB = re.compile(r"python3 noxfile\.py -s (\w+)")


def commands(root, name):
    """The commands of a workflow."""
    document = yaml.safe_load((root / ".github" / "workflows" / name).read_text())
    return [step["run"] for job in document["jobs"].values() for step in job["steps"] if "run" in step]


def test_every_change_and_every_release_must_pass_the_same(root):
    for name in ("ci.yml", "release.yml"):
        assert commands(root, name)[0] == "bash .ci/run"


def test_a_workflow_runs_only_verbs_that_exist(root):
    verbs = set(re.findall(r"@nox\.session\ndef (\w+)", (root / "noxfile.py").read_text()))
    asked = {verb for name in ("ci.yml", "release.yml") for each in commands(root, name) for verb in VERB.findall(each)}
    assert asked <= verbs
    assert asked >= {"build", "docs", "demo"}


def test_all_pythons_are_tested_that_a_package_names(root):
    document = yaml.safe_load((root / ".github" / "workflows" / "ci.yml").read_text())
    named = re.findall(r"Python :: (3\.\d+)", (root / "packages" / "core" / "pyproject.toml").read_text())
    assert document["jobs"]["checks"]["strategy"]["matrix"]["python"] == named
