"""Which database a model lives in. Plain classes stand in for models: the router reads only their `_meta`."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from calotype.infra.partitions import HOME_PARTITION, PARTITIONS, VerticalPartitionRouter
from calotype.infra.partitions.router import Options


@dataclass
class Named:
    app_label: str
    model_name: str | None


class Like:
    _meta: Options = Named("likes", "like")


class LikeAudit:
    _meta: Options = Named("likes", "likeaudit")


class Session:
    _meta: Options = Named("sessions", "session")


class Person:
    _meta: Options = Named("accounts", "person")


@pytest.fixture
def router() -> VerticalPartitionRouter:
    return VerticalPartitionRouter(
        {"likes": "likes_db", "likes.likeaudit": "archive", "sessions": "sessions"}
    )


def test_a_model_lives_where_its_app_does(router: VerticalPartitionRouter) -> None:
    assert router.db_for_read(Like) == router.db_for_write(Like) == "likes_db"
    assert router.db_for_read(Session) == "sessions"


def test_a_route_of_the_model_wins_over_one_of_its_app(router: VerticalPartitionRouter) -> None:
    assert router.db_for_read(LikeAudit) == router.db_for_write(LikeAudit) == "archive"


def test_what_has_no_route_lives_in_the_default_database(router: VerticalPartitionRouter) -> None:
    assert router.db_for_read(Person) == "default"
    assert router.alias("accounts") == "default"


def test_model_names_are_compared_as_django_spells_them(router: VerticalPartitionRouter) -> None:
    assert router.alias("likes", "LikeAudit") == "archive"


def test_relations_stay_within_a_database(router: VerticalPartitionRouter) -> None:
    assert router.allow_relation(Like(), Like())
    assert not router.allow_relation(Like(), LikeAudit())
    assert not router.allow_relation(Person(), Session())


@pytest.mark.parametrize(
    ("alias", "app", "model", "migrates"),
    [
        ("likes_db", "likes", "like", True),
        ("default", "likes", "like", False),
        ("archive", "likes", "likeaudit", True),
        ("likes_db", "likes", "likeaudit", False),
        ("likes_db", "likes", None, True),
        ("default", "accounts", None, True),
        ("sessions", "accounts", "person", False),
    ],
)
def test_a_model_is_migrated_in_its_own_database_only(
    router: VerticalPartitionRouter, alias: str, app: str, model: str | None, migrates: bool
) -> None:
    assert router.allow_migrate(alias, app, model) is migrates


def test_later_changes_of_the_mapping_it_was_made_from_do_not_move_a_model() -> None:
    routes = {"likes": "likes_db"}
    router = VerticalPartitionRouter(routes)
    routes["likes"] = "elsewhere"
    assert router.alias("likes") == "likes_db"


def test_the_stream_of_ids_has_its_home_in_one_of_the_partitions() -> None:
    assert HOME_PARTITION in PARTITIONS
    assert len(set(PARTITIONS)) == len(PARTITIONS)
