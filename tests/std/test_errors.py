"""Codes and statuses are what clients match on: this is the list of them."""

from __future__ import annotations

import importlib
import pkgutil

import calotype.infra
from calotype.std.errors import CalotypeError, Unavailable


def all_errors(root: type[CalotypeError] = CalotypeError) -> list[type[CalotypeError]]:
    return [root] + [error for one in root.__subclasses__() for error in all_errors(one)]


def test_an_error_says_its_sentence_and_carries_its_figures() -> None:
    error = CalotypeError("the photo is 30 MB; it may be 20 MB", limit_mb=20)
    assert str(error) == error.message == "the photo is 30 MB; it may be 20 MB"
    assert error.data == {"limit_mb": 20}


def test_every_public_error_has_a_code_and_an_http_status() -> None:
    for module in pkgutil.walk_packages(calotype.infra.__path__, "calotype.infra."):
        importlib.import_module(module.name)
    for error in all_errors():
        assert error.code.isidentifier(), error
        assert error.code == error.code.lower(), error
        assert 400 <= error.status <= 599, error
        assert (error.retry_after_s is not None) == issubclass(
            error, Unavailable
        ) or error.status == 429, error
