"""Stage ``embed``: the day's graph → vectors, learnt on from the release before and turned onto it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from graphrep import __version__, vocab
from graphrep.config import HISTORY, Embed
from graphrep.contracts import Manifest
from graphrep.errors import InputError, StoreError
from graphrep.lookup import Release, open_release
from graphrep.pipeline import cold_start
from graphrep.pipeline.context import Run, fingerprint
from graphrep.pipeline.load import DayGraph, load_graph
from graphrep.pipeline.processes import is_first, together
from graphrep.pipeline.training import DayCheckpoints, Start, inputs_of, keep_state, same_walk, start_of
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
    start = start_of(run, ds, day, parent)
    kept = DayCheckpoints(run, ds, inputs_of(print_of_inputs, start))
    record = {runlog.FINGERPRINT: print_of_inputs, **_shown(run, ds, day, parent, start, kept)}
    if is_first():
        runlog.record_stage(run.warehouse, ds, vocab.EMBED, record)
        kept.clear()
    return record


def _shown(run: Run, ds: str, day: DayGraph, parent: str | None, start: Start, kept: DayCheckpoints) -> dict[str, Any]:
    """Fit; of a training, every step moves what is shown."""
    with run.progress.stage(f"fit {ds}{_how(run, start, kept)}", 1) as step:
        if not run.config.embed.learns:
            made = _fit(run, ds, day, parent, start, kept)
            step("vectors fitted")
            return made
        step("training")
    with watched(run, ds) as report:
        return _fit(run, ds, day, parent, start, kept, report=report)


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
    from graphrep.embed import Training
    from graphrep.embed.backend import Backend
    from graphrep.embed.gnn.memory import Size, check_training
    from graphrep.embed.plan import plan, precision_for, usable_memory

    embed = run.config.embed
    nodes, edges = sum(day.graph.num_nodes.values()), sum(map(len, day.graph.edges.values()))
    walk = str(plan(nodes, 2 * edges, embed.dim, Backend(embed.device, precision_for(embed.device))))
    if not embed.learns:
        return walk
    size, training = Size.of(day.graph), Training(**embed.training.model_dump())
    needed = check_training(size, embed.dim, training, usable_memory(embed.device))
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
    run: Run, ds: str, day: DayGraph, parent: str | None, start: Start, kept: DayCheckpoints, **told: Any
) -> dict[str, Any]:
    from graphrep.embed import fit

    config = run.config.embed
    before = open_release(run.warehouse, parent) if parent else None
    comparable = before is not None and same_walk(before.manifest, config.walk)
    previous = previous_vectors(day, before, config.dim) if before and comparable else None
    emb = fit(
        day.graph,
        model=config.model,
        dim=config.dim,
        seed=run.config.seed,
        device=config.device,
        previous=previous,
        walk=config.walk,
        relation_weights={kind.label: kind.weight for kind in run.config.graph_relations.values()},
        **_options(config, start, kept),
        **told,
    )
    tried = start.tried if start.begin else {str(share): found for share, found in emb.tried.items()}
    state = None
    if is_first():
        tables.write_arrays(tables.partition(run.warehouse, tables.VECTORS, ds), {t: emb[t] for t in emb.types})
        state = keep_state(run, ds, day, emb.state, start, tried)
    choice = emb.choice and emb.choice.plain()
    made = {"name": config.model, "learnt": emb.learnt, "choice": choice, "state": state}
    gates = cold_start.write_published(run, ds, day, emb, lambda g: _walk(run, g, emb.choice))
    training = _training(config, start, tried) if config.learns else None
    record = {"model": made, "training": training, "cold_start": gates}
    aligned = emb.alignment
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


def _options(config: Embed, start: Start, kept: DayCheckpoints) -> dict[str, Any]:
    """Those of the model and of its walk."""
    from graphrep.embed import Training

    if config.walk != HISTORY:
        return {"markov_time": config.markov_time, "lazy": config.lazy}
    walk = {} if start.begin else {"choice": start.choice}
    if not config.learns:
        return walk
    training = Training(**{**config.training.model_dump(), "epochs": _epochs(config, start)})
    return {**walk, "training": training, "share": config.share, "begin": start.begin, "checkpoints": kept}


def _epochs(config: Embed, start: Start) -> int:
    return config.warm_epochs if start.begin else config.training.epochs


def _training(config: Embed, start: Start, tried: Mapping[str, float]) -> dict[str, Any]:
    """From where and how long it was trained, and what its share of what was learnt was chosen by, and when."""
    return {
        "start": "cold" if start.begin is None else "warm",
        "why": start.why or None,
        "epochs": _epochs(config, start),
        "cold_ds": start.cold_ds,
        "tried": dict(tried),
    }


def previous_vectors(day: DayGraph, before: Release, dim: int) -> dict[str, Floats] | None:
    """The earlier release's vectors in the rows of today; zeros where it has none of the walk's own.

    Returns:
        type → (n, dim) float32; None where no node is shared or the dimension differs: a new space begins.
    """
    found: dict[str, Floats] = {}
    for node_type, nodes in day.nodes.items():
        if node_type not in before.types or before.manifest[Manifest.NODE_TYPES][node_type]["dim"] != dim:
            continue
        hit = before.get(node_type, nodes.keys)
        own = hit.source == vocab.OWN  # what was blended is no turn of a walk's vector
        found[node_type] = np.where(own[:, None], hit.vectors, np.float32(0))
    return found if any(vectors.any() for vectors in found.values()) else None


def _written(run: Run, ds: str) -> bool:
    path = tables.partition(run.warehouse, tables.VECTORS, ds)
    fitted = all((path / f"{node_type}.npy").is_file() for node_type in run.config.nodes)
    return fitted and cold_start.is_written(run, ds)


def day_vectors(run: Run, ds: str) -> dict[str, Floats]:
    """The vectors that stage ``embed`` wrote, by node type."""
    if not runlog.read_stage(run.warehouse, ds, vocab.EMBED):
        raise InputError(f"the vectors of {ds}", found="none", fix=f"run graphrep embed --ds {ds} first")
    path = tables.partition(run.warehouse, tables.VECTORS, ds)
    if not _written(run, ds):
        raise StoreError("vectors of every node type", found="fewer", where=str(path), fix="run stage embed again")
    read = tables.read_arrays(path)
    return {node_type: array.view(np.float32) for node_type, array in read.items()}
