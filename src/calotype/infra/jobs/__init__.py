"""Background work that cannot be lost: typed jobs, run by Celery, sent by whoever commits the work that they follow.

Here is what declares jobs and posts them. What sends and runs them (`broker`, `failures`, `worker`, `dispatch`) is imported by
those who do, since it brings Celery: 0.4 s, and memory that a web server has no use for.
"""

from calotype.infra.jobs.types import JOB, Call, JobInvalid, JobType, Queue, all_jobs, job

__all__ = ["JOB", "Call", "JobInvalid", "JobType", "Queue", "all_jobs", "job"]
