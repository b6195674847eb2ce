"""Commands that run a day: ``run``, each stage, ``demo``."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from graphrep import vocab
from graphrep.cli.gates import gate_lines
from graphrep.cli.options import LOCAL, AsJson, Config, Ds, Logs, Warehouse, asked_of_stage, now, warehouse_of
from graphrep.cli.show import Bars, demo_lines, label_lines, print_json, print_lines, quality_lines
from graphrep.cli.summary import summary_lines
from graphrep.cli.uplift_lines import panel_lines, uplift_lines
from graphrep.errors import GateRefusedError, InputError

if TYPE_CHECKING:
    from graphrep.pipeline.approval import Approval

app = typer.Typer()
graph_app = typer.Typer()
app.add_typer(graph_app, name=vocab.GRAPH)


def open_run(config: Path, logs: Path | None, warehouse: Path | None) -> Any:
    """A run of the configuration, which shows its stages."""
    from graphrep.config import load_config
    from graphrep.pipeline.context import Run, Silent
    from graphrep.pipeline.processes import is_first

    settings = load_config(config, logs=logs, warehouse=warehouse)
    return Run(settings, today=now().date(), progress=Bars() if is_first() else Silent())


@app.command(epilog="Example: graphrep run --config configs/kuairand.yaml --ds 2022-05-01")
def run(
    config: Config,
    ds: Ds,
    logs: Logs = None,
    warehouse: Warehouse = None,
    first: Annotated[str, typer.Option("--from", help="First stage.")] = vocab.LOGS,
    last: Annotated[str, typer.Option("--to", help="Last stage.")] = vocab.PUBLISH,
    as_json: AsJson = False,
) -> None:
    """Run one day: logs, edges, graph, embed, panel and uplift where enabled, evaluate, publish; nothing done twice."""
    from graphrep.pipeline.run import run_day

    opened = open_run(config, logs, warehouse)
    with _shown_if_held(opened.warehouse, ds, as_json):
        records = run_day(opened, ds, at=now(), first=first, last=last)
    if as_json:
        print_json(records)
    else:
        print_lines(_summary(records))


def _summary(records: dict[str, dict[str, Any]]) -> list[str]:
    lines = []
    if found := records.get(vocab.LOGS):
        counts = ", ".join(f"{found[name]:,} {name}" for name in ("events", "duplicates", "quarantined"))
        lines.append(f"logs      {found['rows_in']:,} rows: {counts}")
        if found["undated"]:
            lines.append(f"          {found['undated']:,} rows of no day: their time cannot be read")
    if found := records.get(vocab.GRAPH):
        nodes = ", ".join(f"{count:,} {name}" for name, count in found["nodes"].items())
        lines.append(f"graph     {found['window'][0]} to {found['window'][1]}: {nodes}")
        lines.append(f"          {sum(found['edges'].values()):,} edges in {len(found['edges'])} relations")
    if found := records.get(vocab.EMBED):
        turned = found["alignment"]
        how = f"residual {turned['held_out_residual']:.3f} on held-out nodes" if turned else "a new space"
        lines.append(f"embed     space {found['space_id']}, {how}")
        if trained := found["training"]:
            made = found["model"]
            begun = f"{trained['start']} start, {trained['epochs']} epochs"
            lines.append(f"          {made['name']}: {begun}, {made['learnt']:.0%} of what was learnt published")
    if found := records.get(vocab.PANEL):
        lines += panel_lines(found)
    if found := records.get(vocab.UPLIFT):
        lines += uplift_lines(found)
    if found := records.get(vocab.EVALUATE):
        lines += [*quality_lines(found["quality"]), *label_lines(found["labels"])]
        lines.append(f"gates     {found['gate']['colour']}")
        lines += [f"          {reason}" for reason in found["gate"]["reasons"]]
    if found := records.get(vocab.PUBLISH):
        state = "current" if found["current"] else "beside the current one"
        lines.append(f"release   {found['release_id']}, {'new' if found['new'] else 'unchanged'}, {state}")
    return lines


@contextmanager
def _shown_if_held(warehouse: Path, ds: str, as_json: bool) -> Iterator[None]:
    """Show the gates of a day that they hold, before the one line of the error."""
    from graphrep.store import runlog

    try:
        yield
    except GateRefusedError:
        gate = (runlog.read_stage(warehouse, ds, vocab.EVALUATE) or {}).get("gate")
        if gate and gate["reasons"]:  # else it was held before there was anything to judge
            if as_json:
                print_json(gate)
            else:
                print_lines(gate_lines(gate))
        raise


@app.command(epilog="Example: graphrep due embed --config configs/local.yaml --warehouse demo/warehouse")
def due(
    stage: Annotated[str, typer.Argument(metavar="STAGE", help="embed, uplift or publish.")],
    config: Config,
    logs: Logs = None,
    warehouse: Warehouse = None,
    first: Annotated[str | None, typer.Option("--first", help="First day that is to be published.")] = None,
    patience: Annotated[int, typer.Option("--patience", min=0, help="Hours that a day waits for those before.")] = 6,
) -> None:
    """Print the day that a stage is to be run for next, or an empty line; a scheduler may have lost a hint."""
    from graphrep.pipeline.due import next_day

    opened = open_run(config, logs, warehouse)
    found = next_day(opened, stage, at=now(), patience=dt.timedelta(hours=patience), first=first)
    print_lines([found or ""])


def _stage_command(stage: str, doc: str) -> None:
    @app.command(name=stage, help=doc, epilog=f"Example: graphrep {stage} --config configs/local.yaml --ds 2026-03-14")
    def command(
        config: Config, ds: Ds, logs: Logs = None, warehouse: Warehouse = None, as_json: AsJson = False
    ) -> None:
        _run_stage(stage, config, ds, logs, warehouse, as_json)


def _run_stage(
    stage: str,
    config: Path,
    ds: str,
    logs: Path | None,
    warehouse: Path | None,
    as_json: bool,
    **chosen: Any,
) -> None:
    from graphrep.pipeline.processes import is_first
    from graphrep.pipeline.run import run_stage

    opened = open_run(config, logs, warehouse)
    if stage == vocab.PUBLISH:
        with _shown_if_held(opened.warehouse, ds, as_json):
            record = run_stage(opened, stage, ds, at=now(), **chosen)
    else:
        record = run_stage(opened, stage, ds, at=now(), **chosen)
    if not is_first():
        return
    if as_json:
        print_json(record)
    else:
        print_lines(_summary({stage: record}) or [f"{stage} {ds}: done"])
    if stage == vocab.EVALUATE and not as_json:
        print_lines(["", *gate_lines(record["gate"])])


for _stage, _doc in {
    vocab.LOGS: "Check the raw rows of one day: events, quarantine, counts.",
    vocab.EDGES: "Sum the events of one day into typed edges and nodes.",
    vocab.EMBED: "Fit vectors and turn them onto the release before.",
}.items():
    _stage_command(_stage, _doc)


@app.command(epilog="Example: graphrep evaluate --config configs/local.yaml --ds 2026-03-14")
def evaluate(
    config: Config,
    ds: Ds,
    logs: Logs = None,
    warehouse: Warehouse = None,
    without_uplift: Annotated[
        bool, typer.Option("--without-uplift", help="Judge, and publish, without an uplift that is not there.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Compare with baselines on the label day, and judge the day."""
    _run_stage(vocab.EVALUATE, config, ds, logs, warehouse, as_json, without_uplift=without_uplift)


@app.command(epilog="Example: graphrep publish --config configs/local.yaml --ds 2026-03-14")
def publish(
    config: Config,
    ds: Ds,
    logs: Logs = None,
    warehouse: Warehouse = None,
    approve: Annotated[str | None, typer.Option("--approve", help="Your name, where the day is amber.")] = None,
    override: Annotated[str | None, typer.Option("--override", help="Your name, where the day is red.")] = None,
    reason: Annotated[str | None, typer.Option("--reason", help="Why; it goes on record with the name.")] = None,
    as_json: AsJson = False,
) -> None:
    """Write the release and move the pointer to it; a day that is not green needs a name and a reason."""
    approval = _approval(approve, override, reason)
    _run_stage(vocab.PUBLISH, config, ds, logs, warehouse, as_json, approval=approval)


def _approval(approve: str | None, override: str | None, reason: str | None) -> Approval | None:
    from graphrep.pipeline.approval import APPROVED, OVERRIDDEN, Approval

    if approve is None and override is None and reason is None:
        return None
    if approve is not None and override is not None:
        raise InputError("--approve NAME or --override NAME", found="both", where="graphrep publish")
    kind = APPROVED if override is None else OVERRIDDEN
    return Approval(name=approve or override or "", reason=reason or "", kind=kind)


@graph_app.callback(
    invoke_without_command=True,
    epilog="Examples: graphrep graph --config configs/local.yaml --ds 2026-03-14;"
    " graphrep graph summary --ds 2026-03-14 --warehouse demo/warehouse",
)
def graph(
    context: typer.Context,
    config: Annotated[Path | None, typer.Option("--config", help="YAML file of settings.")] = None,
    ds: Annotated[str | None, typer.Option("--ds", help="Data day, YYYY-MM-DD.")] = None,
    logs: Logs = None,
    warehouse: Warehouse = None,
    as_json: AsJson = False,
) -> None:
    """Merge the window's days: stable ids, adjacency, active nodes. Or print what came of it: summary."""
    if asked := asked_of_stage(context, vocab.GRAPH, config, ds, logs, warehouse, as_json=as_json):
        _run_stage(vocab.GRAPH, *asked, logs, warehouse, as_json)


@graph_app.command(epilog="Example: graphrep graph summary --ds 2026-03-14 --warehouse demo/warehouse")
def summary(ds: Ds, config: Config = LOCAL, warehouse: Warehouse = None, as_json: AsJson = False) -> None:
    """What a day's graph is made of: rows by outcome, nodes, edges, degrees, surfaces, bytes."""
    from graphrep.pipeline.summary import read_summary

    found = read_summary(warehouse_of(config, warehouse), ds)
    if as_json:
        print_json({vocab.DS: ds, **found})
    else:
        print_lines(summary_lines(ds, found))


@app.command(epilog="Example: graphrep demo --out demo")
def demo(
    out: Annotated[Path, typer.Option("--out", help="New directory for logs and warehouse.")] = Path("demo"),
    config: Config = LOCAL,
    users: Annotated[int, typer.Option("--users")] = 3000,
    days: Annotated[int, typer.Option("--days", help="Days of logs; the last three are run.")] = 14,
    seed: Annotated[int, typer.Option("--seed")] = 0,
) -> None:
    """Sample logs, three consecutive days, a lookup, and a table of quality."""
    from graphrep.config import load_config
    from graphrep.pipeline.demo import run_demo

    settings = load_config(config, logs=out / "logs", warehouse=out / "warehouse")
    print_lines(demo_lines(run_demo(settings, users=users, days=days, seed=seed, now=now(), progress=Bars())))
