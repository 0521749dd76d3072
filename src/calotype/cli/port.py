"""Whether a port can be bound, asked before anything slow is started."""

from __future__ import annotations

import errno
import socket

from calotype.std.errors import CalotypeError


class PortUnusable(CalotypeError):
    code = "port_unusable"


def require_free(host: str, port: int, region: str = "") -> None:
    """Raises `PortUnusable` with the port, the reason and what changes it: an option, or the key of a further region."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except socket.gaierror as error:
        raise PortUnusable(
            f"{host} is no address of this machine ({error.strerror}): choose another with --host"
        ) from None
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as error:
            sentence = (
                _sentence_of_region(host, port, region, error) if region else _sentence(host, port, error)
            )
            raise PortUnusable(sentence, port=port) from None


def _sentence(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"port {port} on {host} is taken by another program: choose another with --port or CALOTYPE_PORT,"
            f" e.g. `./calotype up --port {port + 1 if port < 65535 else 8000}`"
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"port {port} on {host} may not be used by this user: choose one above 1023 with --port or CALOTYPE_PORT"
    return f"{host}:{port} cannot be used ({error.strerror}): choose another address with --host or port with --port"


def _sentence_of_region(host: str, port: int, region: str, error: OSError) -> str:
    taken = (
        "is taken by another program"
        if error.errno == errno.EADDRINUSE
        else f"cannot be used ({error.strerror})"
    )
    return (
        f"port {port} on {host}, of region {region}, {taken}: choose another with --port, which moves the ports of all"
        f" regions, or with `port` under [regions.{region}] in calotype.toml"
    )
