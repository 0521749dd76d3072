"""The site's file."""

from __future__ import annotations

import stat
from pathlib import Path

import msgspec
import pytest

from calotype.config.site import (
    FILE,
    S3,
    ConfigInvalid,
    Dynostats,
    Region,
    Site,
    Web,
    load,
    region,
    region_name,
    save,
)

SITE = Site(
    secret_key="secret",
    servers={"pg-1": "postgresql:///shards"},
    databases={"default": "postgresql:///main", "sessions": "postgresql:///sessions"},
    web=Web(port=8123),
)


def test_a_site_is_read_as_it_was_written_and_only_its_owner_can(tmp_path: Path) -> None:
    save(tmp_path, SITE)
    assert load(tmp_path) == SITE
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("not toml [", "calotype.toml"),
        ("secret_key = 1", "secret_key"),
        ('secret_key = "x"\nunknown = 1\n[servers]\n[databases]\n', "unknown"),
        ('secret_key = "x"\n[servers]\na = "b"\n[databases]\ndefault = "d"\n', "sessions"),
        ('secret_key = "x"\n[servers]\n[databases]\ndefault = "d"\nsessions = "s"\n', "server"),
        (
            'secret_key = "x"\nlogical_shards = 9000\n[servers]\na = "b"\n[databases]\ndefault = "d"\nsessions = "s"\n',
            "8192",
        ),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_with_what_is_wrong(
    text: str, said: str, tmp_path: Path
) -> None:
    (tmp_path / FILE).write_text(text)
    with pytest.raises(ConfigInvalid, match=said):
        load(tmp_path)


BUCKET = S3("http://127.0.0.1:9000", "photos", "key", "secret")


def test_a_bucket_for_the_blobs_is_read_as_it_was_written(tmp_path: Path) -> None:
    save(tmp_path, msgspec.structs.replace(SITE, s3=BUCKET))
    assert load(tmp_path).s3 == BUCKET
    assert BUCKET.region == "us-east-1"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"endpoint": "127.0.0.1:9000"}, "endpoint is '127.0.0.1:9000'; it must be http:// or https://"),
        ({"endpoint": "https://host/path"}, "no path"),
        ({"endpoint": "https://user@host"}, "no path"),
        ({"bucket": "Photos"}, "bucket is 'Photos'; it must be 3 to 63"),
        ({"bucket": "ab"}, "3 to 63"),
        ({"region": ""}, "region is ''"),
        ({"access_key": ""}, "access_key must be"),
        ({"secret_key": "a b"}, "secret_key must be"),
    ],
)
def test_a_bucket_that_cannot_be_used_is_refused_without_its_secret(
    wrong: dict[str, str], said: str, tmp_path: Path
) -> None:
    save(tmp_path, msgspec.structs.replace(SITE, s3=msgspec.structs.replace(BUCKET, **wrong)))
    with pytest.raises(ConfigInvalid) as caught:
        load(tmp_path)
    assert "[s3]" in caught.value.message and said in caught.value.message
    assert "a b" not in caught.value.message


def test_blobs_live_in_a_directory_or_in_a_bucket(tmp_path: Path) -> None:
    save(tmp_path, msgspec.structs.replace(SITE, s3=BUCKET, blobs="/srv/blobs"))
    with pytest.raises(ConfigInvalid, match="only one of the two"):
        load(tmp_path)


def test_a_missing_file_says_how_to_make_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid, match="calotype up"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"one_in": 0}, "one_in of 1 or more"),
        ({"slow_ms": -1}, "slow_ms of 0 or more"),
        ({"otlp": "collector:4318"}, "otlp must be the http:// or https:// address"),
        ({"metrics_token": "short"}, "metrics_token must be 16 or more"),
    ],
)
def test_measuring_that_cannot_be_is_refused(wrong: dict[str, int | str], said: str, tmp_path: Path) -> None:
    save(tmp_path, msgspec.structs.replace(SITE, dynostats=msgspec.structs.replace(Dynostats(), **wrong)))
    with pytest.raises(ConfigInvalid, match=said) as caught:
        load(tmp_path)
    assert "[dynostats]" in caught.value.message


STANDBYS = {"pg-1": "postgresql://b/shards", "sessions": "postgresql://b/sessions"}
REGIONS = {
    "a": Region(memcached=("cache1:11211", "/run/cache.sock"), gutter=("[::1]:11211",)),
    "b": Region(memcached_before=(("old:11211",), ()), standbys=STANDBYS, port=9000),
}


def in_regions(**regions: Region) -> Site:
    return msgspec.structs.replace(SITE, regions=regions)


@pytest.fixture(autouse=True)
def no_region(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CALOTYPE_REGION", raising=False)


def test_regions_are_read_as_they_were_written_in_their_order(tmp_path: Path) -> None:
    site = in_regions(**REGIONS)
    save(tmp_path, site)
    assert load(tmp_path) == site
    assert list(load(tmp_path).regions) == ["a", "b"]


def test_a_process_is_told_its_region_and_is_of_the_first_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    site = in_regions(**REGIONS)
    assert (region_name(site), region(site)) == ("a", REGIONS["a"])
    monkeypatch.setenv("CALOTYPE_REGION", "b")
    assert (region_name(site), region(site)) == ("b", REGIONS["b"])


def test_a_site_without_regions_is_one_without_a_cache() -> None:
    assert (region_name(SITE), region(SITE)) == ("a", Region())


def test_a_region_that_the_file_does_not_name_is_an_error_with_those_that_it_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path, in_regions(**REGIONS))
    monkeypatch.setenv("CALOTYPE_REGION", "c")
    with pytest.raises(ConfigInvalid, match=r"CALOTYPE_REGION is 'c'; calotype.toml names the regions a, b"):
        load(tmp_path)


def test_the_logs_are_those_of_every_server_and_of_the_sessions() -> None:
    assert SITE.logs == {"pg-1": "postgresql:///shards", "sessions": "postgresql:///sessions"}


@pytest.mark.parametrize(
    ("regions", "said"),
    [
        ({"a": Region(standbys=STANDBYS)}, r"\[regions.a\] names standbys, but is the first"),
        (
            {"a": Region(), "b": Region()},
            r"\[regions.b\] must name a standby for each of pg-1, sessions; it has none",
        ),
        (
            {"a": Region(), "b": Region(standbys={"pg-1": "x"})},
            "must name a standby for each of pg-1, sessions; it has pg-1",
        ),
        ({"a": Region(memcached=("cache",))}, r"\[regions.a\] names 'cache': an address is host:port"),
        ({"a": Region(gutter=("cache:0",))}, "names 'cache:0'"),
        ({"a": Region(memcached_before=(("./cache.sock",),))}, "names './cache.sock'"),
        ({"A-1": Region()}, r"\[regions.A-1\] is no name"),
        ({"a": Region(port=65536)}, "has port 65536"),
    ],
)
def test_regions_that_cannot_be_are_refused(regions: dict[str, Region], said: str, tmp_path: Path) -> None:
    save(tmp_path, in_regions(**regions))
    with pytest.raises(ConfigInvalid, match=said):
        load(tmp_path)
