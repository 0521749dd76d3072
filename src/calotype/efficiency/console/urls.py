"""`path("ops/", include("calotype.efficiency.console.urls"))`."""

from __future__ import annotations

from django.urls import path

from calotype.efficiency.console import views

app_name = "console"
urlpatterns = [
    path("", views.overview, name="overview"),
    path("endpoint/", views.endpoint, name="endpoint"),
    path("profiles/", views.profiles, name="profiles"),
    path("request/<slug:digest>/", views.request, name="request"),
]
