"""The consistency checker: whether what the regions' caches hold is what the primaries hold, in nines (docs/invalidation.md)."""

from calotype.infra.tao.consistency.checker import SAMPLE, check_consistency
from calotype.infra.tao.consistency.judging import (
    GONE,
    UNTOLD,
    Entry,
    Kind,
    Known,
    Problem,
    Subject,
    Verdict,
    by_version,
)
from calotype.infra.tao.consistency.report import Inconsistency, Report, Scale, Summary
from calotype.infra.tao.consistency.watched import GraphLog, Watched

__all__ = [
    "GONE",
    "SAMPLE",
    "UNTOLD",
    "Entry",
    "GraphLog",
    "Inconsistency",
    "Kind",
    "Known",
    "Problem",
    "Report",
    "Scale",
    "Subject",
    "Summary",
    "Verdict",
    "Watched",
    "by_version",
    "check_consistency",
]
