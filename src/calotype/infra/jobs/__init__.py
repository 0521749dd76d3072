"""Background work that cannot be lost: typed jobs, run by Celery, sent by whoever commits the work that they follow."""

from calotype.infra.jobs.broker import Broker, install_broker
from calotype.infra.jobs.engine import BrokerUnavailable, QueueDepth
from calotype.infra.jobs.failures import Failure, Failures, JobMissing
from calotype.infra.jobs.types import JOB, Call, JobInvalid, JobType, Queue, all_jobs, job

__all__ = [
    "JOB",
    "Broker",
    "BrokerUnavailable",
    "Call",
    "Failure",
    "Failures",
    "JobInvalid",
    "JobMissing",
    "JobType",
    "Queue",
    "QueueDepth",
    "all_jobs",
    "install_broker",
    "job",
]
