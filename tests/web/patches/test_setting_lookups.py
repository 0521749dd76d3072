"""Settings behave as Django's do, overridden, deleted, configured or not."""

from __future__ import annotations

from typing import Any

import pytest
from django.conf import LazySettings, settings
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings
from django.utils.functional import LazyObject, SimpleLazyObject


def test_overridden_settings_hold_inside_and_nested(either: None) -> None:
    assert settings.LANGUAGE_CODE == "en"
    with override_settings(LANGUAGE_CODE="fr", APPEND_SLASH=False):
        assert (settings.LANGUAGE_CODE, settings.APPEND_SLASH) == ("fr", False)
        with override_settings(LANGUAGE_CODE="de"):
            assert (settings.LANGUAGE_CODE, settings.APPEND_SLASH) == ("de", False)
            settings.LANGUAGE_CODE = "it"
            assert settings.LANGUAGE_CODE == "it"
        assert settings.LANGUAGE_CODE == "fr"
    assert settings.LANGUAGE_CODE == "en"
    assert settings.APPEND_SLASH is True


def test_a_deleted_setting_is_gone_until_the_override_ends(either: None) -> None:
    assert settings.USE_TZ is True
    with override_settings():
        del settings.USE_TZ
        with pytest.raises(AttributeError):
            settings.USE_TZ  # noqa: B018
        settings.USE_TZ = False
        assert settings.USE_TZ is False
        del settings.USE_TZ
        assert not hasattr(settings, "USE_TZ")
    assert settings.USE_TZ is True


def test_settings_that_are_not_configured_say_so(either: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DJANGO_SETTINGS_MODULE")
    fresh = LazySettings()
    assert not fresh.configured
    with pytest.raises(ImproperlyConfigured, match="Requested setting USE_TZ"):
        fresh.USE_TZ  # noqa: B018
    fresh.configure(USE_TZ=False)
    assert (fresh.configured, fresh.USE_TZ, fresh.USE_I18N) == (True, False, True)
    with pytest.raises(RuntimeError, match="already configured"):
        fresh.configure()


def test_settings_of_a_module_are_read_at_the_first_look(either: None) -> None:
    fresh = LazySettings()
    assert repr(fresh) == "<LazySettings [Unevaluated]>"
    assert fresh.ROOT_URLCONF == "calotype.config.urls"
    assert "calotype.config.settings" in repr(fresh)
    assert "ROOT_URLCONF" in dir(fresh)


def test_an_empty_secret_key_is_refused_each_time(either: None) -> None:
    with override_settings(SECRET_KEY=""):
        for _ in range(2):
            with pytest.raises(ImproperlyConfigured, match="SECRET_KEY"):
                settings.SECRET_KEY  # noqa: B018


def test_other_lazy_objects_are_as_lazy_as_before(either: None) -> None:
    """`request.user` and `request.session` of Django's own middleware are such."""
    made: list[int] = []

    class User:
        name = "ada"

        def __len__(self) -> int:
            return 7

    def make() -> User:
        made.append(1)
        return User()

    user: Any = SimpleLazyObject(make)
    assert not made
    assert (user.name, len(user), user.__len__(), isinstance(user, User)) == ("ada", 7, 7, True)
    with pytest.raises(AttributeError):
        user.__iter__  # noqa: B018
    assert made == [1]
    assert "__getattribute__" in vars(LazyObject)
