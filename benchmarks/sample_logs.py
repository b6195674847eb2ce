"""How fast the sample generator is, in events a second on one core, arrow tables included.

python benchmarks/sample_logs.py --users 2000 20000 --days 14
"""

from __future__ import annotations

import argparse
import time
from collections import Counter

from graphrep.datasets.sample import SampleSpec, sample_logs
from graphrep.vocab import ECOMMERCE, LIVE, SEARCH, SHORT_VIDEO

SURFACES = (SHORT_VIDEO, LIVE, ECOMMERCE, SEARCH)


def measure(spec: SampleSpec) -> tuple[float, Counter[str]]:
    """Seconds for the whole sample, truth included, and rows by table."""
    rows: Counter[str] = Counter()
    begun = time.perf_counter()
    for name, _, table in sample_logs(spec):
        rows[name] += table.num_rows
    return time.perf_counter() - begun, rows


def main() -> None:
    """Print one line per size: the best of the repeats."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, nargs="+", default=[2_000, 20_000])
    parser.add_argument("--days", type=int, default=14)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    for users in given.users:
        spec = SampleSpec(users=users, days=given.days, seed=given.seed)
        seconds, rows = min((measure(spec) for _ in range(given.repeats)), key=lambda run: run[0])
        events = sum(rows[surface] for surface in SURFACES)
        detail = " ".join(f"{name}={count}" for name, count in rows.items() if not name.startswith("truth/"))
        print(f"users={users} days={given.days} events={events} seconds={seconds:.2f}", end=" ")
        print(f"events_per_second={events / seconds:,.0f} {detail}")


if __name__ == "__main__":
    main()
