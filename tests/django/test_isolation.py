"""The test case in the guide to Django: with overridden settings, its test methods do not share quota."""

import unittest

import pytest
from django.http import HttpResponse
from django.test import override_settings
from django.urls import path

from tests.docs.pages import ROOT, blocks


@pytest.fixture
def case(serve_urls):
    """The test case in the guide, and URLs for it."""
    (text,) = [each.text for each in blocks(ROOT / "docs" / "django.md") if "SimpleTestCase" in each.text]
    space = {"override_settings": override_settings}
    exec(text, space)
    serve_urls(path("accounts/login", lambda request: HttpResponse("welcome")))
    return space["LoginTests"]


def failures(case):
    result = unittest.defaultTestLoader.loadTestsFromTestCase(case).run(unittest.TestResult())
    return result.testsRun, len(result.failures) + len(result.errors)


def test_its_test_methods_do_not_share_quota(case):
    assert failures(case) == (2, 0)


def test_without_the_line_in_set_up_they_share_quota(case):
    case.setUp = lambda self: None
    assert failures(case) == (2, 1)
