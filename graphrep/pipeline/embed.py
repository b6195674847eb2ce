"""Stage ``embed``: the day's graph → vectors, learnt on from the release before and turned onto it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from graphrep import __version__, vocab
from graphrep.config import HISTORY, Embed
from graphrep.contracts import Manifest
from graphrep.errors import InputError, StoreError
from graphrep.lookup import open_release
from graphrep.pipeline import cold_start, spaces
from graphrep.pipeline.context import Run, fingerprint
from graphrep.pipeline.load import DayGraph, load_graph
from graphrep.pipeline.processes import is_first, together
from graphrep.pipeline.training import (
    DayCheckpoints,
    Start,
    changed_relations,
    forget_states,
    goes_on,
    inputs_of,
    keep_state,
    settings_of,
    start_of,
)
from graphrep.pipeline.watching import watched
from graphrep.store import releases, runlog, tables

if TYPE_CHECKING:
    from graphrep.embed import Choice, Embedding
    from graphrep.graph.hetero import HeteroGraph

Floats = npt.NDArray[np.float32]


def run_embed(run: Run, ds: str) -> dict[str, Any]:
    """Fit vectors for the nodes of a day's window and write them, one array per node type.

    Under torchrun all processes fit together, and the first writes.

    Raises:
        InputError: the day's graph has not been built.
    """
    run.check_ds(ds)
    built = graph_record(run, ds)
    parent = releases.served_before(run.warehouse, ds)
    inputs = [
        built[runlog.FINGERPRINT],
        run.config.fingerprint("embed", "seed", "relations", "transitions", *cold_start.SECTIONS),
        run.config.evaluate.k,
        run.config.publish.min_support,
        run.config.publish.dual_days,
        cold_start.content_inputs(run, built["window"][1]),
        __version__,
    ]
    before = releases.read_manifest(run.warehouse, parent) if parent else {}
    inputs.append([parent, before.get(Manifest.FILES), before.get(Manifest.MODEL)])
    print_of_inputs = fingerprint(inputs)
    done = runlog.read_stage(run.warehouse, ds, vocab.EMBED)
    if done and done.get(runlog.FINGERPRINT) == print_of_inputs and _written(run, ds):
        return done
    with together(run.config.embed.device):
        return _made(run, ds, parent, print_of_inputs)


def _made(run: Run, ds: str, parent: str | None, print_of_inputs: str) -> dict[str, Any]:
    with run.progress.stage(f"embed {ds}", 1) as step:
        day = load_graph(run, ds)
        step(f"graph loaded: {_planned(run, day)}")
    content = cold_start.content_of(run, ds, day)
    start = start_of(run, ds, day, parent, content)
    kept = DayCheckpoints(run, ds, inputs_of(print_of_inputs, start))
    fitting = partial(_fit, run, ds, day, parent, start, kept, content)
    record = {runlog.FINGERPRINT: print_of_inputs, **_shown(run, ds, start, kept, fitting)}
    if is_first():
        runlog.record_stage(run.warehouse, ds, vocab.EMBED, record)
        kept.clear()
        forget_states(run, ds, parent)
    return record


def _shown(
    run: Run, ds: str, start: Start, kept: DayCheckpoints, fitting: Callable[..., dict[str, Any]]
) -> dict[str, Any]:
    """Fit; of a training, every step moves what is shown."""
    with run.progress.stage(f"fit {ds}{_how(run, start, kept)}", 1) as step:
        if not run.config.embed.learns:
            made = fitting()
            step("vectors fitted")
            return made
        step("training")
    with watched(run, ds) as report:
        return fitting(report=report)


def _how(run: Run, start: Start, kept: DayCheckpoints) -> str:
    """What is learnt and from where, for who watches."""
    if not run.config.embed.learns:
        return ""
    begun = "from the release before" if start.begin else f"from the walk: {start.why}"
    return f", {run.config.embed.model} {begun}" + (f"; {kept.how}" if kept.how else "")


def _planned(run: Run, day: DayGraph) -> str:
    """What the fit will take, before it begins.

    Raises:
        GraphrepError: it does not fit into memory.
    """
    from graphrep.embed.backend import Backend, device_for
    from graphrep.embed.gnn.memory import Size, check_training
    from graphrep.embed.plan import plan, precision_for, usable_memory

    embed = run.config.embed
    nodes, edges = sum(day.graph.num_nodes.values()), sum(map(len, day.graph.edges.values()))
    device = device_for(embed.device, learnt=embed.learns)
    walk = str(plan(nodes, 2 * edges, embed.dim, Backend(device, precision_for(device))))
    if not embed.learns:
        return walk
    size = Size.of(day.graph)
    needed = check_training(size, embed.dim, settings_of(embed.model, embed), usable_memory(device))
    return f"{walk}; training on {size}: about {needed / 1e9:.1f} GB"


def graph_record(run: Run, ds: str) -> dict[str, Any]:
    """What stage ``graph`` recorded for a day.

    Raises:
        InputError: it has not run.
    """
    built = runlog.read_stage(run.warehouse, ds, vocab.GRAPH)
    if not built:
        raise InputError(f"the graph of {ds}", found="none", fix=f"run graphrep graph --ds {ds} first")
    return built


def _fit(
    run: Run,
    ds: str,
    day: DayGraph,
    parent: str | None,
    start: Start,
    kept: DayCheckpoints,
    content: Mapping[str, Floats],
    **told: Any,
) -> dict[str, Any]:
    from graphrep.embed import fit

    config = run.config.embed
    before = open_release(run.warehouse, parent) if parent else None
    comparable = before is not None and goes_on(before.manifest, config)
    previous = spaces.anchors_in(run, ds, day, before) if before and comparable else None
    emb = fit(
        day.graph,
        model=config.model,
        dim=config.dim,
        seed=run.config.seed,
        device=config.device,
        previous=previous,
        walk=config.walk,
        relation_weights={kind.label: kind.weight for kind in run.config.graph_relations.values()},
        **_options(config, start, kept, content),
        **told,
    )
    tried = start.tried if start.begin else {str(share): found for share, found in emb.tried.items()}
    state = None
    if is_first():
        tables.write_arrays(tables.partition(run.warehouse, tables.VECTORS, ds), {t: emb[t] for t in emb.types})
        state = keep_state(run, ds, day, emb.state, start, tried)
    choice = emb.choice and emb.choice.plain()
    made = {"name": config.model, "space": config.space, "learnt": emb.learnt, "choice": choice, "state": state}
    gates = cold_start.write_published(run, ds, day, emb, lambda g: _walk(run, g, emb.choice), content)
    relations = changed_relations(start.begin, emb.state)
    training = _training(config, start, tried, relations) if config.learns else None
    aligned = emb.alignment
    maps = spaces.keep_maps(run, ds, day, emb, before, same=aligned is not None)
    record = {"model": made, "training": training, "cold_start": gates, "maps": maps}
    if before is None or aligned is None:
        space_id = f"{ds}-{run.config.fingerprint('embed', 'seed')[:8]}"
        return {**record, "parent": None, "space_id": space_id, "alignment": None}
    # With a handful of shared nodes none can be held out.
    held_out = aligned.held_out_residual if math.isfinite(aligned.held_out_residual) else aligned.residual
    alignment = {"anchors": aligned.anchors, "residual": aligned.residual, "held_out_residual": held_out}
    return {**record, "parent": parent, "space_id": before.space_id, "alignment": alignment}


def _walk(run: Run, g: HeteroGraph, choice: Choice | None) -> Embedding:
    """The walk of a part of the day's graph; of what is learnt too, the gates of cold nodes are chosen on its walk."""
    from graphrep.embed import fit

    config = run.config.embed
    steps = {"markov_time": config.markov_time, "lazy": config.lazy}
    return fit(
        g,
        dim=config.dim,
        seed=run.config.seed,
        device=config.device,
        walk=config.walk,
        relation_weights={kind.label: kind.weight for kind in run.config.graph_relations.values()},
        **({"choice": choice} if config.walk == HISTORY else steps),
    )


def _options(config: Embed, start: Start, kept: DayCheckpoints, content: Mapping[str, Floats]) -> dict[str, Any]:
    """Those of the model and of its walk."""
    if config.walk != HISTORY:
        return {"markov_time": config.markov_time, "lazy": config.lazy}
    walk = {} if start.begin else {"choice": start.choice}
    if not config.learns:
        return walk
    training = settings_of(config.model, config, _epochs(config, start))
    told = {**walk, "training": training, "share": config.share, "begin": start.begin, "checkpoints": kept}
    return {**told, "features": content} if config.model == vocab.GNN else told


def _epochs(config: Embed, start: Start) -> int:
    return config.warm_epochs if start.begin else config.training.epochs


def _training(
    config: Embed, start: Start, tried: Mapping[str, float], relations: dict[str, list[str]] | None
) -> dict[str, Any]:
    """From where and how long it was trained, and what its share of what was learnt was chosen by, and when."""
    return {
        "start": "cold" if start.begin is None else "warm",
        "why": start.why or None,
        "epochs": _epochs(config, start),
        "cold_ds": start.cold_ds,
        "tried": dict(tried),
        "relations": relations,
    }


def _written(run: Run, ds: str) -> bool:
    path = tables.partition(run.warehouse, tables.VECTORS, ds)
    fitted = all((path / f"{node_type}.npy").is_file() for node_type in run.config.nodes)
    return fitted and cold_start.is_written(run, ds) and spaces.is_written(run, ds)


def day_vectors(run: Run, ds: str) -> dict[str, Floats]:
    """The vectors that stage ``embed`` wrote, by node type."""
    if not runlog.read_stage(run.warehouse, ds, vocab.EMBED):
        raise InputError(f"the vectors of {ds}", found="none", fix=f"run graphrep embed --ds {ds} first")
    path = tables.partition(run.warehouse, tables.VECTORS, ds)
    if not _written(run, ds):
        raise StoreError("vectors of every node type", found="fewer", where=str(path), fix="run stage embed again")
    read = tables.read_arrays(path)
    return {node_type: array.view(np.float32) for node_type, array in read.items()}
