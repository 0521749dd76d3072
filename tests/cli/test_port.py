from __future__ import annotations

import socket

import pytest

from calotype.cli.port import PortUnusable, require_free


def test_a_free_port_is_free_and_stays_so() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    require_free("127.0.0.1", port)
    require_free("127.0.0.1", port)


def test_a_taken_port_is_named_with_the_option_that_changes_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(
            PortUnusable, match=rf"port {port} on 127\.0\.0\.1 is taken.*--port or CALOTYPE_PORT"
        ):
            require_free("127.0.0.1", port)


def test_a_taken_port_of_a_further_region_is_named_with_the_key_that_changes_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(
            PortUnusable, match=rf"port {port} on 127\.0\.0\.1, of region b, is taken.*--port.*\[regions\.b\]"
        ):
            require_free("127.0.0.1", port, region="b")


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(PortUnusable, match="--host"):
        require_free("192.0.2.1", 8000)
