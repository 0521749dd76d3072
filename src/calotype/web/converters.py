"""Ids in URLs."""

from __future__ import annotations

from django.urls import register_converter

from calotype.infra.ids import IdInvalid, parse


class IdConverter:
    """A 64-bit id; anything else is no address of ours."""

    regex = "[0-9]{1,19}"

    def to_python(self, value: str) -> int:
        try:
            return parse(value)
        except IdInvalid as error:
            raise ValueError(str(error)) from None

    def to_url(self, value: int) -> str:
        return str(value)


def register() -> None:
    register_converter(IdConverter, "id")
