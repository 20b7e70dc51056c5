"""Each way to add a limit to a view."""

from django.urls import URLPattern, URLResolver, include, path

from examples.django import views

accounts = ([path("login", views.login, name="login")], "accounts")

urlpatterns: list[URLPattern | URLResolver] = [
    path("", views.home),
    path("search", views.search),
    path("quotes/<int:number>", views.Quote.as_view()),
    path("reports", views.report),
    path("accounts/", include(accounts)),
]
