"""Sync and async views. The throttles with names are defined in the settings."""

from __future__ import annotations

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views import View

from traffik_django import HTTPThrottle, ThrottledMixin, throttled, throttles

QUOTES = ["Festina lente.", "Less haste, more speed.", "Everything in its time."]
CUSTOMERS = {"ada-key": "ada", "bob-key": "bob"}

words = HTTPThrottle("words", "100/min")


def customer(request: HttpRequest) -> str:
    """The identifier: the owner of the API key. A client cannot invent one."""
    owner = CUSTOMERS.get(request.headers.get("X-API-Key", ""))
    if owner is None:
        raise PermissionDenied("An X-API-Key is needed: try ada-key.")
    return owner


def home(request: HttpRequest) -> HttpResponse:
    """Limited by the middleware, like all requests."""
    return HttpResponse("hello")


def login(request: HttpRequest) -> HttpResponse:
    """Limited by the middleware too, since its namespace is in TRAFFIK["URLS"]. Only attempts count, not the form."""
    if request.method != "POST":
        return HttpResponse("name and password, please")
    return HttpResponse("wrong password", status=401)


@throttled("5/s; 1000/hour")
def search(request: HttpRequest) -> JsonResponse:
    """A decorator: two limits at once."""
    word = request.GET.get("word", "").lower()
    return JsonResponse({"found": [quote for quote in QUOTES if word in quote.lower()]})


class Quote(ThrottledMixin, View):
    """A mixin, on an async view."""

    throttles = ("10/s",)

    async def get(self, request: HttpRequest, number: int) -> HttpResponse:
        quote = QUOTES[number % len(QUOTES)]
        await words.hit(request, cost=len(quote.split()))  # the cost is known only here
        return HttpResponse(quote)


async def report(request: HttpRequest) -> JsonResponse:
    """A call: reading the quota left is free, and making a report is expensive."""
    if request.method == "POST":
        await throttles["reports"].hit(request, cost=5)
    stat = await throttles["reports"].stat(request)
    return JsonResponse({"left": stat and stat.hits_remaining})
