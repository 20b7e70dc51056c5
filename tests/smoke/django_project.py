"""A new user's first steps with the extra `django`: three settings and a view, found through the entry point."""

from importlib.metadata import files, version

import django
from django.conf import settings
from django.core.management import call_command
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import path

shipped = {path.name for path in files("traffik-django") or ()}
assert {"LICENSE", "py.typed", "traffik_stat.py"} <= shipped, shipped

settings.configure(
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    INSTALLED_APPS=["traffik_django"],
    MIDDLEWARE=["traffik_django.middleware.ThrottleMiddleware"],
    TRAFFIK={"THROTTLES": {"smoke": "2/min"}},
)
django.setup()

from traffik_django import throttles  # noqa: E402 - as in a project, where settings come first


def view(request: HttpRequest) -> HttpResponse:
    throttles["smoke"].sync.hit(request)
    return HttpResponse("admitted")


urlpatterns = [path("", view)]
call_command("check")
responses = [Client().get("/") for _ in range(3)]

assert [response.status_code for response in responses] == [200, 200, 429]
assert 0 < int(responses[-1].headers["retry-after"]) <= 60
print(f"traffik-django {version('traffik-django')}: two requests admitted, the third answered 429")
