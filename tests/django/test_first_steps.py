"""The Django project of docs/start.md, made by `startproject`, without our settings and with them."""

import os
import shutil
import subprocess
import sys

import pytest

from tests.docs.pages import ROOT, blocks

NAMED = ("INSTALLED_APPS", "MIDDLEWARE", "traffik_django.middleware.ThrottleMiddleware", "settings")
BARE = "from django.http import HttpResponse\nfrom traffik import HTTPThrottle\nbare = HTTPThrottle('bare', '9/s')\n"
HIT = f"{BARE}def data(request):\n    bare.sync.hit(request)\n    return HttpResponse()\n"
ROUTE = "from django.urls import path\nurlpatterns = [path('data', data)]\n"
ASK = "from django.test import Client\nprint(Client(SERVER_NAME='localhost').get('/data').status_code)\n"


@pytest.fixture
def urls():
    """The page's `urls.py`."""
    return file_on_page("# shop/urls.py\n")


@pytest.fixture
def settings():
    """The page's lines for the end of `settings.py`."""
    return file_on_page("# shop/settings.py, at the end\n")


def file_on_page(first_line):
    (found,) = [each.text for each in blocks(ROOT / "docs" / "start.md") if each.text.startswith(first_line)]
    return found


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A project as `startproject` makes it."""
    folder = tmp_path_factory.mktemp("shop")
    subprocess.run([sys.executable, "-m", "django", "startproject", "shop", "."], cwd=folder, check=True)
    return folder


@pytest.fixture
def run(shop, tmp_path):
    """Runs Django's command line in a new project; the exit code and the output."""
    shutil.copytree(shop, tmp_path, dirs_exist_ok=True)
    environ = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), *filter(None, sys.path)])}

    def run(*command, text=None):
        words = [sys.executable, *command]
        done = subprocess.run(words, cwd=tmp_path, env=environ, input=text, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    return run


def test_check_names_the_settings_that_are_missing(run, urls, tmp_path):
    (tmp_path / "shop" / "urls.py").write_text(urls)
    status, said = run("manage.py", "check")
    assert status != 0
    assert [name for name in NAMED if name not in said] == []
    assert "lifespan" not in said


def test_a_hit_without_the_settings_names_them_too(run, tmp_path):
    (tmp_path / "shop" / "urls.py").write_text(HIT + ROUTE)
    _, said = run("manage.py", "shell", text=ASK)
    error = said[said.index("BackendNotFoundError") :]
    assert [name for name in NAMED if name not in error] == []
    assert "lifespan" not in error


def test_with_the_settings_the_sixth_request_is_refused(run, urls, settings, tmp_path):
    (tmp_path / "shop" / "urls.py").write_text(urls)
    with (tmp_path / "shop" / "settings.py").open("a") as file:
        file.write(settings)
    assert run("manage.py", "check")[0] == 0
    assert "200" in run("manage.py", "shell", text=ASK)[1]
