"""Answers to requests that failed."""

from __future__ import annotations

import pytest
from django.core.management import call_command
from django.test import RequestFactory
from django.urls import get_resolver

from tests import django_site

django_site.set_up()


@pytest.fixture(scope="module", autouse=True)
def static_files() -> None:
    call_command("collectstatic", verbosity=0, interactive=False)


@pytest.mark.parametrize(
    ("accepts", "kind"), [("text/html", "text/html"), ("application/json", "application/json")]
)
def test_a_fault_in_what_staff_see_is_told_as_everywhere_else(accepts: str, kind: str) -> None:
    request = RequestFactory(headers={"Accept": accepts}).get("/ops/")
    response = get_resolver().resolve_error_handler(500)(request)
    assert response.status_code == 500
    assert response["Content-Type"].startswith(kind)
    assert "Something went wrong on our side." in response.content.decode()
    assert response["Cache-Control"] == "no-store"
