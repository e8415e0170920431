"""The figures of `lakehouse bench ingest` as a table, and in words beside their goals."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

_NOOP_GOAL, _NAIVE_GOAL, _P99_GOAL_MS = 0.6, 100, 250
_ROWS_PER_S_GOALS = {"ndjson": ("NDJSON", 200_000), "json": ("JSON arrays", None), "arrow": ("Arrow IPC", 1_000_000)}
_MB = 1_000_000

Run = dict[str, Any]


def row(run: Run) -> dict[str, str]:
    """A row of the table."""
    return {
        "case": run["case"],
        "requests_s": f"{run['requests_per_s']:,.0f}",
        "rows_s": f"{run['rows_per_s']:,.0f}" if run["table"]["rows"] else "",
        "p50_ms": f"{run['latency']['p50_ms']:,.1f}",
        "p99_ms": f"{run['latency']['p99_ms']:,.1f}",
        "errors": f"{run['errors']:,}",
        "server_cpu_s": f"{run['server_cpu_s']:.1f}",
        "peak_MB": f"{run['peak_mb']:,}",
    }


def notes(runs: Sequence[Run]) -> list[str]:
    """What the figures by case say, a line a statement."""
    ours = [run for run in runs if run["server"] in ("ours", "open")]
    singles = [run for run in ours if run["form"] == "row" and run["server"] == "ours"]
    lines = [_machine(runs)]
    lines += [_against_noop(run, runs) for run in singles]
    lines.append(_against_naive(singles, next(run for run in runs if run["case"].startswith("naive"))))
    lines += [_batches(form, ours) for form in _ROWS_PER_S_GOALS]
    lines += [_table(run) for run in ours]
    lines.append(_balance(ours))
    return lines


def _machine(runs: Sequence[Run]) -> str:
    """What the figures were measured beside: a slow disk or a busy machine shows here first."""
    syncs = [run["sync_ms"] for run in runs]
    generator = max(run["cpu_s"] / run["seconds"] for run in runs)
    others = max(run["other_processes_cores"] for run in runs)
    return (
        f"writing and syncing 4 KiB took {min(syncs):.2f} to {max(syncs):.2f} ms before a case; the load generator "
        f"took at most {generator:.2f} of a core, other processes and the kernel at most {others:.2f}"
    )


def _against_noop(run: Run, runs: Sequence[Run]) -> str:
    noop = next(r for r in runs if r["case"].startswith("no-op,") and r["connections"] == run["connections"])
    # Both of a round saw the machine as it was within half a minute.
    ratios = [own / peer for own, peer in zip(_rates(run), _rates(noop), strict=True)]
    p99 = run["latency"]["p99_ms"]
    return (
        f"{run['case']}: {statistics.median(ratios):.2f} of the no-op (goal {_NOOP_GOAL}), in the rounds "
        f"{', '.join(f'{ratio:.2f}' for ratio in ratios)}; p99 {p99:,.0f} ms (goal {_P99_GOAL_MS}), "
        f"{run['errors']:,} errors (goal 0)"
    )


def _against_naive(singles: Sequence[Run], naive: Run) -> str:
    own = next(run for run in singles if run["connections"] == naive["connections"])
    failed = naive["errors"] / max(naive["requests"] + naive["unanswered"], 1)
    ratio = own["rows_per_s"] / max(naive["rows_per_s"], 1e-9)
    return (
        f"the naive service lands {naive['rows_per_s']:,.0f} rows/s and fails {failed:.0%} of its requests; "
        f"single rows are {ratio:,.0f} times that (goal {_NAIVE_GOAL})"
    )


def _batches(form: str, ours: Sequence[Run]) -> str:
    name, goal = _ROWS_PER_S_GOALS[form]
    best = max((run for run in ours if run["form"] == form), key=lambda run: float(run["rows_per_s"]))
    told = f" (goal {goal:,})" if goal else ""
    rounds = [f"{rate * best['batch_rows']:,.0f}" for rate in _rates(best)]
    told += f", in the rounds {', '.join(rounds)}" if len(rounds) > 1 else ""
    return f"{name}: {best['rows_per_s']:,.0f} rows/s in batches of {best['batch_rows']:,}{told}"


def _rates(run: Run) -> list[float]:
    """Requests a second in each round."""
    return [turn["requests_per_s"] for turn in run["rounds"]]


def _table(run: Run) -> str:
    table = run["table"]
    return (
        f"{run['case']}: {table['rows']:,} rows in {table['versions']:,} versions, left in {table['files']:,} files of "
        f"{table['bytes'] / _MB:,.0f} MB"
    )


def _balance(ours: Sequence[Run]) -> str:
    rounds = [(run["case"], turn["acknowledged_rows"], turn["table"]) for run in ours for turn in run["rounds"]]
    wrong = [
        f"{case}: {acknowledged:,} acknowledged, {table['rows']:,} in the table, {table['identifiers']:,} identifiers"
        for case, acknowledged, table in rounds
        if not acknowledged == table["rows"] == table["identifiers"]
    ]
    if wrong:
        return "NOT EVERY ACKNOWLEDGED ROW IS IN THE TABLE ONCE: " + "; ".join(wrong)
    total = sum(acknowledged for _, acknowledged, _ in rounds)
    return f"{total:,} rows were acknowledged, and every case's table holds as many, each identifier once"
