"""Which regions run where; `test_regions` runs them."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from calotype.cli import site_regions
from calotype.cli.places import Places
from calotype.cli.site_setup import Wanted
from calotype.config.site import ConfigInvalid, Region, Site, Web, save

STANDBYS = {"pg-1": "postgresql://b/shards", "sessions": "postgresql://b/sessions"}
OWN_SERVERS = Site(
    secret_key="secret",
    servers={"pg-1": "postgresql://a/shards"},
    databases={"default": "postgresql://a/main", "sessions": "postgresql://a/sessions"},
    embedded_postgres=False,
    embedded_memcached=False,
    regions={"a": Region(memcached=("cache-a:11211",)), "b": Region(standbys=STANDBYS)},
)


@pytest.fixture(autouse=True)
def no_region(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CALOTYPE_REGION", raising=False)


def ports(site: Site | None, wanted: Wanted, port: int = 8000) -> dict[str, int]:
    return {name: web.port for name, web in site_regions.webs(site, wanted, Web(port=port)).items()}


def test_a_new_site_has_one_region_unless_two_are_wanted() -> None:
    assert ports(None, Wanted()) == {"a": 8000}
    assert ports(None, Wanted(regions=2)) == {"a": 8000, "b": 8001}


def test_the_number_is_that_of_the_file_until_another_is_wanted() -> None:
    two = msgspec.structs.replace(OWN_SERVERS, embedded_postgres=True)
    assert ports(two, Wanted()) == {"a": 8000, "b": 8001}
    assert ports(two, Wanted(regions=1)) == {"a": 8000}


def test_the_port_option_moves_the_ports_of_all_regions_and_the_file_that_of_one() -> None:
    regions = {"a": Region(), "b": Region(standbys=STANDBYS, port=9000)}
    two = msgspec.structs.replace(OWN_SERVERS, embedded_postgres=True, regions=regions)
    assert ports(two, Wanted()) == {"a": 8000, "b": 9000}
    assert ports(two, Wanted(port=8500), 8500) == {"a": 8500, "b": 8501}


def test_a_port_beyond_the_last_is_refused() -> None:
    with pytest.raises(ConfigInvalid, match="region b would have the port 65536"):
        ports(None, Wanted(port=65535, regions=2), 65535)


def test_with_servers_of_ones_own_this_machine_runs_the_region_that_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = Places(tmp_path)
    save(tmp_path, OWN_SERVERS)
    for name, port in (("a", 8000), ("b", 8001)):
        monkeypatch.setenv("CALOTYPE_REGION", name)
        webs = site_regions.webs(OWN_SERVERS, Wanted(), Web())
        assert {one: web.port for one, web in webs.items()} == {name: port}
        assert site_regions.arrange(places, OWN_SERVERS, Wanted()) == OWN_SERVERS
        (here,) = site_regions.here(places, OWN_SERVERS, webs)
        assert (here.name, here.suffix, here.standbys, here.memcached) == (name, "", (), None)
        assert here.caches == (name == "a")


def test_regions_written_by_hand_stay_whatever_number_is_wanted(tmp_path: Path) -> None:
    assert site_regions.arrange(Places(tmp_path), OWN_SERVERS, Wanted(regions=1)) == OWN_SERVERS
    with pytest.raises(ConfigInvalid, match=r"write their standbys under \[regions.b.standbys\]"):
        site_regions.webs(OWN_SERVERS, Wanted(regions=2), Web())
