"""A fifth surface, a new node type and their relations are entries of the YAML file: nothing else is touched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from graphrep.config import load_config
from graphrep.datasets.sample import SampleSpec
from graphrep.pipeline.context import Silent
from graphrep.pipeline.datasets import write_sample_logs
from graphrep.pipeline.load import load_graph
from graphrep.pipeline.run import run_day

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
START = 1_772_323_200_000

FORUM = """
extends: {base}
logs:
  max_quarantine_share: 0.05
  tables:
    forum: {{path: forum, columns: {{domain: {{value: forum}}, item_type: {{value: post}}}}}}
surfaces:
  forum: {{actions: [read, reply], item_types: [post]}}
nodes:
  post: {{column: item_id, item_type: post}}
  query: {{column: query}}
  room: {{column: room_id}}
relations:
  reads_post: {{domain: forum, actions: [read, reply], from: user, to: post}}
  replies_to: {{domain: forum, actions: [reply], from: user, to: host, half_life_days: 3}}
  asks: {{domain: search, actions: [click], from: user, to: query}}
  leads_to_video: {{domain: search, actions: [click], from: query, to: video}}
  leads_to_host: {{domain: search, actions: [click], from: query, to: host}}
  enters: {{domain: live, actions: [watch], from: user, to: room}}
transitions:
  then: {{relations: [watches_video, watches_live_of, reads_post]}}
spark: {{driver_memory: 1g, shuffle_partitions: 2}}
"""


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory, new_place: Any) -> Any:
    """The sample's four surfaces and a forum, one graph day."""
    place = new_place(tmp_path_factory.mktemp("forum"))
    place.config.write_text(FORUM.format(base=CONFIGS / "local.yaml"), encoding="utf-8")
    write_sample_logs(place.logs, SampleSpec(users=60, days=2, seed=0), Silent())
    for i, ds in enumerate(("2026-03-01", "2026-03-02")):
        rows = [
            {"ts": START + i * 86_400_000 + j, "user_id": f"u{j % 7:06d}", "event_id": j, "action": action}
            | {"item_id": f"post{j % 5}", "host_id": f"h{j % 3:05d}"}
            for j in range(40)
            for action in [("read", "reply")[j % 2]]
        ]
        place.deliver("forum", ds, rows)
    run_day(place.run(), "2026-03-02", at=place.at, last="graph")
    return load_graph(place.run(), "2026-03-02").graph


def test_the_new_types_are_nodes_and_the_new_relations_are_edges(graph: Any) -> None:
    assert {"post", "query", "room"} <= set(graph.node_types)
    assert graph.num_nodes["post"] == 5
    for edge_type in (
        ("user", "reads_post", "post"),
        ("user", "replies_to", "host"),
        ("user", "asks", "query"),
        ("query", "leads_to_video", "video"),
        ("user", "enters", "room"),
        ("post", "then", "post"),
    ):
        assert len(graph.edges[edge_type]), edge_type


def test_transitions_join_the_new_surface_with_the_old_ones(graph: Any) -> None:
    across = [("post", "then", "video"), ("video", "then", "post"), ("host", "then", "video")]
    assert sum(len(graph.edges[t]) for t in across) > 0
    assert {t for t in graph.edge_types if t[1] == "then"} == {
        (a, "then", b) for a in ("video", "host", "post") for b in ("video", "host", "post")
    }


def test_what_an_entry_names_and_nobody_declared_is_an_error(tmp_path: Path) -> None:
    tree = yaml.safe_load(FORUM.format(base=CONFIGS / "local.yaml"))
    tree["transitions"]["then"]["relations"].append("reads_pots")
    file = tmp_path / "c.yaml"
    file.write_text(yaml.safe_dump(tree), encoding="utf-8")
    with pytest.raises(Exception, match=r"transitions\.then\.relations: expected a relation of sign 1 .*'reads_pots'"):
        load_config(file)
