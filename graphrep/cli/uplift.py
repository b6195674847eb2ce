"""Commands on the go-live uplift: fit and judge a day, score its hosts, show its gates, report, spend a budget."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from graphrep import vocab
from graphrep.cli.days import open_run
from graphrep.cli.options import AsJson, Config, Ds, Logs, Warehouse, asked_of_stage, now
from graphrep.cli.show import print_json, print_lines
from graphrep.cli.uplift_lines import fit_name, judged_lines, panel_lines, uplift_lines

if TYPE_CHECKING:
    from graphrep.pipeline.context import Run

app = typer.Typer(help="What one more nudge, or served live impression, changes in a host's going live.")


@app.callback(
    invoke_without_command=True,
    epilog="Examples: graphrep uplift --config configs/golive.yaml --ds 2026-03-12;"
    " graphrep uplift report --config configs/golive.yaml --ds 2026-03-12",
)
def uplift(
    context: typer.Context,
    config: Annotated[Path | None, typer.Option("--config", help="YAML file of settings.")] = None,
    ds: Annotated[str | None, typer.Option("--ds", help="Data day, YYYY-MM-DD.")] = None,
    logs: Logs = None,
    warehouse: Warehouse = None,
    as_json: AsJson = False,
) -> None:
    """The stage of the daily job: fit, judge, score. What is held back is told, and no failure. Or a command."""
    if asked := asked_of_stage(context, vocab.UPLIFT, config, ds, logs, warehouse, as_json=as_json):
        _show(_run(open_run(asked[0], logs, warehouse), asked[1]), as_json)


def _run(run: Run, ds: str) -> dict[str, Any]:
    from graphrep.pipeline.run import run_stage

    return run_stage(run, vocab.UPLIFT, ds, at=now())


@app.command(epilog="Example: graphrep uplift panel --config configs/golive.yaml --ds 2026-03-12")
def panel(config: Config, ds: Ds, logs: Logs = None, warehouse: Warehouse = None, as_json: AsJson = False) -> None:
    """Hosts and days from the checked logs: what was known before each day, what was done, what came of it."""
    from graphrep.pipeline.run import run_stage

    record = run_stage(open_run(config, logs, warehouse), vocab.PANEL, ds, at=now())
    if as_json:
        print_json(record)
    else:
        print_lines(panel_lines(record))


@app.command(epilog="Example: graphrep uplift fit --config configs/golive.yaml --ds 2026-03-12")
def fit(config: Config, ds: Ds, logs: Logs = None, warehouse: Warehouse = None, as_json: AsJson = False) -> None:
    """The same stage, which fails where no effect can be fitted at all (exit code 2)."""
    from graphrep.pipeline.uplift_report import check_fitted, fitted

    run = open_run(config, logs, warehouse)
    record = _run(run, ds)
    _show(record, as_json)
    check_fitted(fitted(run, ds))


@app.command(epilog="Example: graphrep uplift score --config configs/golive.yaml --ds 2026-03-12 --spark")
def score(
    config: Config,
    ds: Ds,
    warehouse: Warehouse = None,
    spark: Annotated[bool, typer.Option("--spark", help="Score in Spark's workers, for many hosts.")] = False,
    as_json: AsJson = False,
) -> None:
    """Score the day's hosts again with the models that were fitted."""
    from graphrep.pipeline.uplift_score import score_day

    _show(score_day(open_run(config, None, warehouse), ds, by_spark=spark), as_json)


@app.command(epilog="Example: graphrep uplift evaluate --config configs/golive.yaml --ds 2026-03-12")
def evaluate(config: Config, ds: Ds, warehouse: Warehouse = None, as_json: AsJson = False) -> None:
    """Print the fourteen gates of each fit; exit code 3 where they hold back every arm."""
    from graphrep.pipeline.uplift_report import check_published, fitted, read_evidence

    run = open_run(config, None, warehouse)
    evidence = read_evidence(run, ds)
    if as_json:
        print_json({"decision_ds": evidence["decision_ds"], "fits": [_judged(one) for one in evidence["fits"]]})
    else:
        for one in evidence["fits"]:
            print_lines([fit_name(one), *judged_lines(one), ""])
    check_published(fitted(run, ds))


@app.command(epilog="Example: graphrep uplift report --config configs/golive.yaml --ds 2026-03-12")
def report(config: Config, ds: Ds, warehouse: Warehouse = None, as_json: AsJson = False) -> None:
    """Write one HTML page, and the same as Markdown and JSON, into the run's directory."""
    from graphrep.pipeline.uplift_report import write_reports

    found = write_reports(open_run(config, None, warehouse), ds)
    if as_json:
        print_json({kind: str(path) for kind, path in found.items()})
    else:
        print_lines([str(path) for path in found.values()])


@app.command(
    epilog="Example: graphrep uplift allocate --config configs/golive.yaml --ds 2026-03-12 --budget 100 --json"
)
def allocate(
    config: Config,
    ds: Ds,
    budget: Annotated[float, typer.Option("--budget", help="Of all nudges, in the unit of their costs.")],
    horizon_days: Annotated[int, typer.Option("--horizon-days", help="Of the effects: 1 or 7.")] = 1,
    outcome: Annotated[str, typer.Option("--outcome", help="live or minutes.")] = "live",
    warehouse: Warehouse = None,
    as_json: AsJson = False,
) -> None:
    """Say which host gets which nudge, by the lower ends of the intervals; --json has every host."""
    from graphrep.pipeline.uplift_report import allocation

    found = allocation(open_run(config, None, warehouse), ds, budget, horizon_days, outcome)
    if as_json:
        print_json(found)
        return
    lines = [f"{arm:<16} {count:,} hosts" for arm, count in found["arms"].items()]
    unit = "more hosts live" if outcome == "live" else "more minutes"
    last = f"cost {found['cost']:g} of {budget:g}; {found['gain']:.2f} {unit}, {found['sure']:.2f} by the lower ends"
    print_lines([*lines, last])


def _show(record: Mapping[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(record)
    else:
        print_lines(uplift_lines(record))


def _judged(one: Mapping[str, Any]) -> dict[str, Any]:
    return {name: one[name] for name in ("family", "outcome", "horizon_days", "refused", "arms", "gates")}
