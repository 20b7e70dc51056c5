"""The README's Django block in a project as `startproject` makes it: without the settings, and with them."""

import os
import subprocess
import sys

import pytest

from tests.docs.pages import ROOT, blocks

NAMED = ("INSTALLED_APPS", "MIDDLEWARE", "traffik_django.middleware.ThrottleMiddleware", "settings")
BARE = "from django.http import HttpResponse\nfrom traffik import HTTPThrottle\nbare = HTTPThrottle('bare', '9/s')\n"
HIT = f"{BARE}def search(request):\n    bare.sync.hit(request)\n    return HttpResponse()\n"
SETTINGS = """
INSTALLED_APPS += ["traffik_django"]
MIDDLEWARE = ["traffik_django.middleware.ThrottleMiddleware", *MIDDLEWARE]
"""
ASK = "from django.test import Client\nprint(Client(SERVER_NAME='localhost').get('/').status_code)\n"


@pytest.fixture
def block():
    """The view of the README."""
    (found,) = [each.text for each in blocks(ROOT / "README.md") if "from traffik_django import" in each.text]
    return found


@pytest.fixture
def run(tmp_path):
    """Run Django's command line in a new project; its status and what it prints."""
    environ = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), *filter(None, sys.path)])}

    def run(*command, text=None):
        words = [sys.executable, *command]
        done = subprocess.run(words, cwd=tmp_path, env=environ, input=text, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    assert run("-m", "django", "startproject", "site_", ".") == (0, "")
    (tmp_path / "site_" / "urls.py").write_text(
        "from django.urls import path\nfrom site_ import views\nurlpatterns = [path('', views.search)]\n"
    )
    return run


def test_check_names_the_settings_that_are_missing(run, block, tmp_path):
    (tmp_path / "site_" / "views.py").write_text(block)
    status, said = run("manage.py", "check")
    assert status != 0
    assert [name for name in NAMED if name not in said] == []
    assert "lifespan" not in said


def test_a_hit_without_the_settings_names_them_too(run, tmp_path):
    (tmp_path / "site_" / "views.py").write_text(HIT)
    _, said = run("manage.py", "shell", text=ASK)
    error = said[said.index("BackendNotFoundError") :]
    assert [name for name in NAMED if name not in error] == []
    assert "lifespan" not in error


def test_with_the_settings_it_works(run, block, tmp_path):
    (tmp_path / "site_" / "views.py").write_text(block)
    with (tmp_path / "site_" / "settings.py").open("a") as settings:
        settings.write(SETTINGS)
    assert run("manage.py", "check")[0] == 0
    assert "200" in run("manage.py", "shell", text=ASK)[1]
