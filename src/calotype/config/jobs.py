"""Which jobs follow what happens in the product, where they are sent, and what they run with."""

from __future__ import annotations

from calotype.config.site import Site as Configuration
from calotype.infra.jobs.broker import Broker
from calotype.infra.jobs.failures import Failures


def broker(configuration: Configuration) -> Broker:
    """To be closed by whoever asks for it."""
    return Broker(broker_url(configuration))


def failures(configuration: Configuration) -> Failures:
    return Failures(configuration.control_dsn)


def broker_url(configuration: Configuration) -> str:
    """RabbitMQ's, if there is one; else the queues lie in the control database: one engine fewer to run."""
    return configuration.broker or configuration.control_dsn
