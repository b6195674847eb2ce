"""The graphs of the suite, read from the files of their sources into one shape.

Every reader takes the folder that holds one folder for each data set and gives a :class:`Graph`. Undirected edges have
the smaller id first and stand in the order in which networkx iterates over a graph read from the file line by line: by
first mention of a node, then its neighbours; the splits of Huang, Silva, Singh (KDD 2021) and of POLE (WSDM 2022)
depend on it. Directed edges stand in the order of the file. Self-loops are kept, a repeated edge stands once, with the
weight that was read last. Sources and licences of the files are listed beside them.
"""

from __future__ import annotations

import binascii
import io
import lzma
import pickle
import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components

from graphrep.errors import InputError

DATA = Path(__file__).parents[2] / ".." / "shared" / "data"
# A 7z archive of one file, packed by LZMA2 alone, header unpacked: sizes, coder, dictionary size, CRC of the file.
ONE_FILE = re.compile(
    rb"\x01\x04\x06\x00\x01\x09.{1,9}?\x00\x07\x0b\x01\x00\x01\x21\x21\x01(.)\x0c.{1,9}?\x00\x08\x0a\x01(.{4})\x00\x00",
    re.DOTALL,
)

Edge = tuple[int, int]


@dataclass(frozen=True)
class Graph:
    """One graph, nodes 0 … n−1 in the order of the file's ids.

    edges: (e, 2) int64, in the order that the module states.
    weights: (e,) float64, 1 where the file has none; negative in a signed graph.
    ids: (n,) int64, the id that the file has for each node.
    attributes: (n, f) scipy.sparse, where the data set has some.
    """

    name: str
    edges: NDArray[np.int64]
    weights: NDArray[np.float64]
    directed: bool
    n: int
    ids: NDArray[np.int64]
    attributes: Any = None


def read(name: str, data: Path = DATA) -> Graph:
    """One of ``READERS``; InputError where its folder is missing."""
    if not (data / name).is_dir():
        raise InputError(f"a folder {name}", found="none", where=str(data), fix="pass --data DIR")
    return READERS[name](data / name)


def adjacency(graph: Graph, chosen: Any = slice(None), weighted: bool = True) -> Any:
    """(n, n) csr of all edges, or of those at the positions ``chosen``; symmetric unless the graph is directed."""
    source, target = graph.edges[chosen].T
    weight = graph.weights[chosen] if weighted else np.ones(len(source))
    once = sp.csr_array((weight, (source, target)), shape=(graph.n, graph.n))
    if graph.directed:
        return once
    return sp.csr_array(once + sp.triu(once.T, k=1) + sp.tril(once.T, k=-1))


def networkx_order(lines: Iterable[tuple[int, int, float]]) -> dict[Edge, float]:
    """Undirected edges and weights, smaller id first: by first mention of a node, then its neighbours in turn."""
    neighbours: dict[int, dict[int, float]] = {}
    for u, v, weight in lines:
        neighbours.setdefault(u, {})
        neighbours.setdefault(v, {})
        neighbours[u][v] = neighbours[v][u] = weight
    edges: dict[Edge, float] = {}
    for u, mine in neighbours.items():
        for v, weight in mine.items():
            edges.setdefault((min(u, v), max(u, v)), weight)
    return edges


def unpack(path: Path) -> bytes:
    """The content of a 7z archive that holds one file packed by LZMA2; InputError for any other, or a wrong CRC.

    Format: 7zFormat.txt of the LZMA SDK. After 32 bytes comes the packed stream, then a header; where it lies is
    said at bytes 12 and 20. The standard library decodes the stream itself.
    """
    archive = path.read_bytes()
    end = 32 + int.from_bytes(archive[12:20], "little")
    header = ONE_FILE.match(archive[end : end + int.from_bytes(archive[20:28], "little")])
    if archive[:6] != b"7z\xbc\xaf\x27\x1c" or header is None:
        raise InputError("a 7z archive of one file packed by LZMA2", found="another layout", where=str(path))
    step = header[1][0]
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": (2 | step & 1) << (step // 2 + 11)}]
    content = lzma.decompress(archive[32:end], lzma.FORMAT_RAW, filters=filters)
    if binascii.crc32(content) != int.from_bytes(header[2], "little"):
        raise InputError("content of the stated CRC", found="another", where=str(path))
    return content


def pairs_of(text: str) -> list[tuple[int, int, float]]:
    """``u v`` or ``u v weight`` of each line, apart by blanks or a comma; lines from # on are comments."""
    rows = [line.replace(",", " ").split() for line in text.splitlines() if line and not line.startswith("#")]
    return [(int(row[0]), int(row[1]), float(row[2]) if len(row) > 2 else 1.0) for row in rows]


def _graph(name: str, edges: dict[Edge, float], directed: bool) -> Graph:
    listed = np.array(list(edges), np.int64).reshape(-1, 2)
    ids, places = np.unique(listed, return_inverse=True)
    weights = np.array(list(edges.values()), np.float64)
    return Graph(name, places.reshape(-1, 2).astype(np.int64), weights, directed, len(ids), ids)


def _lines(folder: Path, file: str) -> Graph:
    return _graph(folder.name, networkx_order(pairs_of((folder / file).read_text())), directed=False)


def _packed(folder: Path, file: str) -> Graph:
    lines = pairs_of(unpack(folder / file).decode())
    return _graph(folder.name, {(u, v): weight for u, v, weight in lines}, directed=True)


def _polblogs(folder: Path) -> Graph:
    """Political blogs: links of either direction as one edge, the largest component only."""
    text = (folder / "polblogs.gml").read_text()
    links = re.findall(r"edge \[\s*source (\d+)\s+target (\d+)", text)
    edges = networkx_order((int(u), int(v), 1.0) for u, v in links)
    whole = _graph(folder.name, edges, directed=False)
    part = connected_components(adjacency(whole), directed=False)[1]
    inside = part == np.bincount(part).argmax()
    kept = {edge: w for edge, w in edges.items() if inside[np.searchsorted(whole.ids, edge[0])]}
    return _graph(folder.name, kept, directed=False)


class _Arrays(pickle.Unpickler):
    """Reads arrays, csr matrices and dicts of lists, written by Python 2, and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        known = {
            ("numpy", "ndarray"): np.ndarray,
            ("numpy", "dtype"): np.dtype,
            ("numpy.core.multiarray", "_reconstruct"): np.zeros(0).__reduce__()[0],
            ("scipy.sparse.csr", "csr_matrix"): sp.csr_matrix,
            ("collections", "defaultdict"): defaultdict,
            ("__builtin__", "list"): list,
        }
        if (module, name) not in known:
            raise InputError("arrays, csr matrices and dicts", found=f"{module}.{name}", where="pickle")
        return known[module, name]


def unpickle(path: Path) -> Any:
    """A Planetoid file, by an unpickler that makes arrays, csr matrices and dicts of lists only."""
    return _Arrays(io.BytesIO(path.read_bytes()), encoding="latin1").load()


def _planetoid(folder: Path) -> Graph:
    """A citation graph of Planetoid: edges u < v sorted, no self-loops; attributes 0/1 as they are in the files.

    The test nodes' attributes stand apart, in the order of ``test.index``; a node in none of the files has none.
    """
    name = folder.name.removeprefix("planetoid-")
    links = unpickle(folder / f"ind.{name}.graph")
    edges = sorted({(min(u, v), max(u, v)) for u, mine in links.items() for v in mine if u != v})
    n = len(links)
    early, late = (sp.csr_array(unpickle(folder / f"ind.{name}.{part}")) for part in ("allx", "tx"))
    rows = np.loadtxt(folder / f"ind.{name}.test.index", dtype=np.int64)
    place = sp.csr_array((np.ones(len(rows)), (rows, np.arange(len(rows)))), shape=(n, len(rows)))
    attributes = sp.vstack([early, sp.csr_array((n - early.shape[0], early.shape[1]))]) + place @ late
    pairs = np.array(edges, np.int64)
    return Graph(folder.name, pairs, np.ones(len(pairs)), False, n, np.arange(n), sp.csr_array(attributes))


READERS: dict[str, Callable[[Path], Graph]] = {
    "airport": partial(_lines, file="airport.edges"),
    "blogcatalog": partial(_lines, file="blogcatalog.edges"),
    "congress": partial(_lines, file="Congress.edges"),
    "cora-subelj": partial(_packed, file="cora.csv.7z"),
    "planetoid-citeseer": _planetoid,
    "planetoid-cora": _planetoid,
    "polblogs": _polblogs,
    "ppi": partial(_lines, file="PPI.ungraph"),
    "wiki-vote": partial(_packed, file="wiki-Vote.txt.7z"),
    "wow-ep8": partial(_lines, file="WoW-EP8.edges"),
}
