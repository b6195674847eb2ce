"""The ``graphrep`` command: parse, load the configuration, call one pipeline function, print.

Exit codes: 0 done, 1 failed, 2 bad input, 3 the gate refused the day (yesterday stays served).
"""

from __future__ import annotations

import datetime as dt
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from graphrep import __version__, vocab
from graphrep.errors import GraphrepError, InputError
from graphrep.show import Bars, print_json, print_lines, print_table, quality_lines

app = typer.Typer(
    name="graphrep",
    help="From behaviour logs to the embeddings that a livestream ranker looks up.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
releases_app = typer.Typer(help="The releases of a warehouse.", no_args_is_help=True, rich_markup_mode=None)
contracts_app = typer.Typer(help="The tables as data.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(releases_app, name="releases")
app.add_typer(contracts_app, name="contracts")

Config = Annotated[Path, typer.Option("--config", help="YAML file of settings.")]
Ds = Annotated[str, typer.Option("--ds", help="Data day, YYYY-MM-DD.")]
Logs = Annotated[Path | None, typer.Option("--logs", help="Directory of raw logs, in place of the configured one.")]
Warehouse = Annotated[Path | None, typer.Option("--warehouse", help="Warehouse, in place of the configured one.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
LOCAL = Path("configs/local.yaml")


def main() -> None:
    """Run the command and leave with its exit code; an error is one line."""
    try:
        app(standalone_mode=False)
    except GraphrepError as error:
        print(f"graphrep: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except typer.Exit as leave:
        sys.exit(leave.exit_code)
    except typer.Abort:
        print("graphrep: stopped", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("graphrep: stopped", file=sys.stderr)
        sys.exit(130)
    except Exception as error:
        if hasattr(error, "format_message"):  # what typer raises for a wrong option or a missing argument
            print(f"graphrep: {error.format_message()}", file=sys.stderr)
            sys.exit(2)
        raise


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def _open_run(config: Path, logs: Path | None, warehouse: Path | None) -> Any:
    from graphrep.config import load_config
    from graphrep.pipeline.context import Run

    return Run(load_config(config, logs=logs, warehouse=warehouse), today=_now().date(), progress=Bars())


def _warehouse(config: Path, warehouse: Path | None) -> Path:
    if warehouse is not None:
        return warehouse
    from graphrep.config import load_config

    return load_config(config).warehouse


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
    """Run one day: logs, edges, graph, embed, evaluate, publish. What has not changed is not done again."""
    from graphrep.pipeline.run import run_day

    records = run_day(_open_run(config, logs, warehouse), ds, at=_now(), first=first, last=last)
    if as_json:
        print_json(records)
    else:
        print_lines(_summary(records))


def _summary(records: dict[str, dict[str, Any]]) -> list[str]:
    lines = []
    if found := records.get(vocab.LOGS):
        counts = ", ".join(f"{found[name]:,} {name}" for name in ("events", "duplicates", "quarantined"))
        lines.append(f"logs      {found['rows_in']:,} rows: {counts}")
    if found := records.get(vocab.GRAPH):
        nodes = ", ".join(f"{count:,} {name}" for name, count in found["nodes"].items())
        lines.append(f"graph     {found['window'][0]} to {found['window'][1]}: {nodes}")
        lines.append(f"          {sum(found['edges'].values()):,} edges in {len(found['edges'])} relations")
    if found := records.get(vocab.EMBED):
        turned = found["alignment"]
        how = f"residual {turned['held_out_residual']:.3f} on held-out nodes" if turned else "a new space"
        lines.append(f"embed     space {found['space_id']}, {how}")
    if found := records.get(vocab.EVALUATE):
        lines += quality_lines(found["quality"])
        lines.append(f"gate      {'passed' if found['gate']['passed'] else 'refused'}")
    if found := records.get(vocab.PUBLISH):
        state = "current" if found["current"] else "beside the current one"
        lines.append(f"release   {found['release_id']}, {'new' if found['new'] else 'unchanged'}, {state}")
    return lines


def _stage_command(stage: str, doc: str) -> None:
    @app.command(name=stage, help=doc, epilog=f"Example: graphrep {stage} --config configs/local.yaml --ds 2026-03-14")
    def command(
        config: Config, ds: Ds, logs: Logs = None, warehouse: Warehouse = None, as_json: AsJson = False
    ) -> None:
        from graphrep.pipeline.run import run_stage

        record = run_stage(_open_run(config, logs, warehouse), stage, ds, at=_now())
        if as_json:
            print_json(record)
        else:
            print_lines(_summary({stage: record}) or [f"{stage} {ds}: done"])


for _stage, _doc in {
    vocab.LOGS: "Check the raw rows of one day: events, quarantine, counts.",
    vocab.EDGES: "Sum the events of one day into typed edges and nodes.",
    vocab.GRAPH: "Merge the window's days: stable ids, adjacency, active nodes.",
    vocab.EMBED: "Fit vectors and turn them onto the release before.",
    vocab.EVALUATE: "Compare with baselines on the label day, and judge the day.",
    vocab.PUBLISH: "Write the release and move the pointer to it.",
}.items():
    _stage_command(_stage, _doc)


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
    print_lines(run_demo(settings, users=users, days=days, seed=seed, now=_now(), progress=Bars()))


@app.command(name="sample-logs", epilog="Example: graphrep sample-logs logs --days 14 --users 3000 --seed 0")
def sample_logs(
    out: Annotated[Path, typer.Argument(help="New directory.")],
    days: Annotated[int, typer.Option("--days")] = 14,
    users: Annotated[int, typer.Option("--users", help="Users on the first day; more come daily.")] = 3000,
    seed: Annotated[int, typer.Option("--seed")] = 0,
    start: Annotated[str, typer.Option("--start", help="First day.")] = "2026-03-01",
    as_json: AsJson = False,
) -> None:
    """Write logs of four surfaces with a planted truth beside them, in OUT/truth."""
    from graphrep.datasets.sample import SampleSpec
    from graphrep.pipeline.datasets import write_sample_logs
    from graphrep.store.raw import check_day

    spec = SampleSpec(users=users, days=days, seed=seed, start=check_day(start, where="--start"))
    _print_rows(write_sample_logs(out, spec, Bars()), as_json)


@app.command(name="import", epilog="Example: graphrep import kuairand data/KuaiRand-Pure logs-kuairand")
def import_command(
    name: Annotated[str, typer.Argument(help="kuairand or retailrocket.")],
    src: Annotated[Path, typer.Argument(help="Folder of the public files.")],
    out: Annotated[Path, typer.Argument(help="New directory for the raw logs.")],
    as_json: AsJson = False,
) -> None:
    """Turn a public data set into raw logs."""
    from graphrep.pipeline.datasets import import_logs

    _print_rows(import_logs(name, src, out, Bars()), as_json)


def _print_rows(rows: dict[str, int], as_json: bool) -> None:
    if as_json:
        print_json(rows)
    else:
        print_table(["table", "rows"], [[name, f"{count:,}"] for name, count in rows.items()])


@app.command(epilog="Example: graphrep lookup user u000001 u999999 --warehouse demo/warehouse")
def lookup(
    node_type: Annotated[str, typer.Argument(metavar="TYPE")],
    keys: Annotated[list[str], typer.Argument(metavar="KEY...")],
    config: Config = LOCAL,
    warehouse: Warehouse = None,
    release: Annotated[str | None, typer.Option("--release", help="Instead of the current one.")] = None,
    as_json: AsJson = False,
) -> None:
    """Print the published vectors of some keys."""
    from graphrep.lookup import open_release

    opened = open_release(_warehouse(config, warehouse), release)
    hit = opened.get(node_type, keys)
    if as_json:
        found = [
            {
                "key": key,
                "found": bool(hit.found[i]),
                "fallback": bool(hit.fallback[i]),
                "age_days": int(hit.age_days[i]),
                "degree": int(hit.degree[i]),
                "vector": [float(x) for x in hit.vectors[i]],
            }
            for i, key in enumerate(keys)
        ]
        print_json({"release_id": opened.release_id, "space_id": opened.space_id, "type": node_type, "keys": found})
        return
    print_lines([f"release {opened.release_id}, space {opened.space_id}"])
    rows = [
        [
            key,
            _yes(hit.found[i]),
            _yes(hit.fallback[i]),
            str(hit.age_days[i]),
            str(hit.degree[i]),
            _few(hit.vectors[i]),
        ]
        for i, key in enumerate(keys)
    ]
    print_table(["key", "found", "fallback", "age_days", "degree", "vector"], rows)


def _yes(value: Any) -> str:
    return "yes" if value else "no"


def _few(vector: Any) -> str:
    return " ".join(f"{x:+.3f}" for x in vector[:4]) + (" …" if len(vector) > 4 else "")


@app.command(epilog="Example: graphrep neighbors user u000001 --to host -k 5 --warehouse demo/warehouse")
def neighbors(
    node_type: Annotated[str, typer.Argument(metavar="TYPE")],
    key: Annotated[str, typer.Argument(metavar="KEY")],
    to: Annotated[str, typer.Option("--to", help="Node type of the neighbours.")],
    k: Annotated[int, typer.Option("-k", help="How many.")] = 10,
    config: Config = LOCAL,
    warehouse: Warehouse = None,
    as_json: AsJson = False,
) -> None:
    """Print the keys of a type with the largest dot product."""
    from graphrep.lookup import open_release

    opened = open_release(_warehouse(config, warehouse))
    found = opened.neighbors(node_type, key, to, k)
    if as_json:
        pairs = [{"key": n.key, "score": n.score} for n in found]
        print_json({"release_id": opened.release_id, "type": node_type, "key": key, "to": to, "neighbors": pairs})
    else:
        print_table([to, "score"], [[n.key, f"{n.score:.5f}"] for n in found])


@releases_app.command("list", epilog="Example: graphrep releases list --warehouse demo/warehouse")
def releases_list(config: Config = LOCAL, warehouse: Warehouse = None, as_json: AsJson = False) -> None:
    """Every release, oldest first; the current one is marked."""
    from graphrep.contracts import Manifest
    from graphrep.store import releases

    place = _warehouse(config, warehouse)
    pointer = releases.read_pointer(place)
    current = pointer.release_id if pointer else None
    found = [releases.read_manifest(place, release_id) for release_id in releases.list_releases(place)]
    if as_json:
        print_json({"current": current, "releases": [m[Manifest.RELEASE_ID] for m in found]})
        return
    rows = [
        [
            "*" if m[Manifest.RELEASE_ID] == current else "",
            m[Manifest.RELEASE_ID],
            m[Manifest.SPACE_ID],
            ", ".join(f"{entry['count']:,} {name}" for name, entry in m[Manifest.NODE_TYPES].items()),
        ]
        for m in found
    ]
    print_table(["", "release", "space", "keys"], rows)


@releases_app.command("show", epilog="Example: graphrep releases show 2026-03-14.1 --warehouse demo/warehouse")
def releases_show(
    release_id: Annotated[str, typer.Argument(metavar="RELEASE")],
    config: Config = LOCAL,
    warehouse: Warehouse = None,
) -> None:
    """Print the manifest of a release, a JSON object, after comparing every file with it."""
    from graphrep.store import releases

    place = _warehouse(config, warehouse)
    releases.verify_release(place, release_id)
    print_json(releases.read_manifest(place, release_id))


@releases_app.command("rollback", epilog="Example: graphrep releases rollback --warehouse demo/warehouse")
def releases_rollback(
    release_id: Annotated[str | None, typer.Argument(metavar="[RELEASE]")] = None,
    config: Config = LOCAL,
    warehouse: Warehouse = None,
    as_json: AsJson = False,
) -> None:
    """Point back at an earlier release; by default at the one before the current."""
    from graphrep.store import releases

    pointer = releases.rollback(_warehouse(config, warehouse), release_id, at=_now())
    if as_json:
        print_json({"current": pointer.release_id})
    else:
        print_lines([f"current is {pointer.release_id}"])


@contracts_app.command("list", epilog="Example: graphrep contracts list")
def contracts_list(as_json: AsJson = False) -> None:
    """Every table: name, grain, meaning."""
    from graphrep.contracts import CONTRACTS

    if as_json:
        print_json({"contracts": list(CONTRACTS)})
    else:
        rows = [[c.name, " ".join(c.grain) or "–", c.owner, c.meaning] for c in CONTRACTS.values()]
        print_table(["table", "grain", "owner", "meaning"], rows)


@contracts_app.command("show", epilog="Example: graphrep contracts show log_event_v1")
def contracts_show(name: Annotated[str, typer.Argument()], as_json: AsJson = False) -> None:
    """The columns of a table: type, unit, meaning."""
    from dataclasses import asdict

    from graphrep.contracts import CONTRACTS

    if name not in CONTRACTS:
        raise InputError(f"one of the tables {list(CONTRACTS)}", found=repr(name))
    contract = CONTRACTS[name]
    if as_json:
        print_json(asdict(contract))
        return
    rows = [[c.name, c.type, "may be null" * c.nullable, c.unit, c.meaning] for c in contract.columns]
    print_table(["column", "type", "", "unit", "meaning"], rows)


@app.command(epilog="Example: graphrep doctor")
def doctor(as_json: AsJson = False) -> None:
    """What this machine has of what graphrep needs; fails if Java for Spark is missing."""
    from importlib.metadata import PackageNotFoundError, version

    from graphrep.store.java import java_version

    def installed(name: str) -> str:
        try:
            return version(name)
        except PackageNotFoundError:
            return "not installed"

    facts = {"graphrep": __version__, "python": sys.version.split()[0]}
    facts |= {name: installed(name) for name in ("pyspark", "torch", "torch-geometric", "apache-airflow")}
    java, major = java_version()
    facts["java"] = f"{major} ({java})"
    if as_json:
        print_json(facts)
    else:
        print_table(["part", "version"], [[name, value] for name, value in facts.items()])


if __name__ == "__main__":
    main()
