"""Every interleaving of the cache protocol, part by part, and what each of its rules is for.

    python -m tests.infra.tao.consistency_model      the protocol as designed, then with each rule switched off

Each part is a small world of its own, in `consistency/`: one key and its leases; the consumer's question before its
delete; a batch of two keys; a change of the memcached servers; the log, its slot and its primary; copies and tickets.
What a part takes as one step, another has shown to be safe when it is not. Change the protocol here first.

Time bounds what is left out: a filler that dies keeps a key from being filled until its lease or the stale entry expires.
"""

from __future__ import annotations

import sys
import time
from typing import Any

from tests.infra.tao.consistency.batch import BATCH
from tests.infra.tao.consistency.copies import COPIES
from tests.infra.tao.consistency.explorer import Protocol
from tests.infra.tao.consistency.log import LOG
from tests.infra.tao.consistency.one_key import ONE_KEY
from tests.infra.tao.consistency.owners import OWNERS
from tests.infra.tao.consistency.probe import PROBE

PROTOCOLS: tuple[Protocol[Any], ...] = (ONE_KEY, PROBE, BATCH, OWNERS, LOG, COPIES)


def main() -> int:
    return max([_report(protocol) for protocol in PROTOCOLS])


def _report(protocol: Protocol[Any]) -> int:
    started_s = time.process_time()
    found = protocol.explore()
    took_s = time.process_time() - started_s
    print(
        f"{protocol.name}, all rules: {found.states} states, {took_s:.2f} s, {found.violation or 'no violation'}"
    )
    wrong = bool(found.violation)
    for rule in protocol.rules:
        found = protocol.explore(without=rule)
        wrong |= not found.violation
        print(
            f"{protocol.name}, without {rule}: {found.violation or 'NO VIOLATION'} ({len(found.way)} steps)"
        )
        print("".join(f"    {step}\n" for step in found.way), end="")
    return wrong


if __name__ == "__main__":
    sys.exit(main())
