"""Settings: strict at every depth, merged as written, and wrong ones refused in one line that names the place."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from graphrep import vocab
from graphrep.config import ColumnSource, Config, load_config
from graphrep.contracts import Event
from graphrep.embed import NeighbourTraining, Training
from graphrep.errors import ConfigError
from graphrep.pipeline.training import settings_of

CONFIGS = Path(__file__).parents[2] / "configs"
LOCAL = CONFIGS / "local.yaml"


def write(folder: Path, settings: Any, name: str = "own.yaml", *, extends: str | None = str(LOCAL)) -> Path:
    path = folder / name
    named = {"extends": extends, **settings} if extends else settings
    path.write_text(yaml.safe_dump(named), encoding="utf-8")
    return path


def nested(path: str, value: Any) -> dict[str, Any]:
    first, _, rest = path.partition("/")
    return {first: nested(rest, value) if rest else value}


def load(folder: Path, path: str, value: Any) -> Config:
    return load_config(write(folder, nested(path, value)))


def refusal(path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith("expected ")
    assert caught.value.exit_code == 2
    return message


SHIPPED = sorted(path for path in CONFIGS.glob("*.yaml") if "\nname:" in path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_every_shipped_configuration_loads(path: Path) -> None:
    config = load_config(path)
    assert config.graph_relations
    assert config.evaluate.targets
    own = {"twitch-golive.yaml": 14, "twitch-nudges.yaml": 14, "amazon-cdsr.yaml": 1096}
    assert config.window_days == own.get(path.name, 28)


def test_the_shipped_configurations_are_there() -> None:
    assert {"local.yaml", "kuairand.yaml", "twitch-golive.yaml", "amazon-cdsr.yaml"} <= {path.name for path in SHIPPED}


def test_the_base_alone_is_no_configuration_and_says_what_it_lacks() -> None:
    assert "the key name, found nothing" in refusal(CONFIGS / "base.yaml")


DEPTHS = (
    "",
    "logs",
    "logs/tables/live",
    "logs/tables/live/columns/domain",
    "surfaces/live",
    "nodes/user",
    "relations/watches_video",
    "spark",
    "embed",
    "evaluate",
    "evaluate/targets/video",
    "gates/zero_rows",
    "publish",
)


@pytest.mark.parametrize("depth", DEPTHS)
def test_an_unknown_key_is_named_with_its_path(tmp_path: Path, depth: str) -> None:
    path = f"{depth}/misspelt".strip("/")
    message = refusal(write(tmp_path, nested(path, 1)))
    assert f"expected only known keys, found {path.replace('/', '.')} [" in message
    assert str(tmp_path / "own.yaml") in message


def test_an_unknown_key_is_named_before_the_key_that_it_was_meant_to_be(tmp_path: Path) -> None:
    entry = {"domian": "live", "actions": ["watch"], "from": "user", "to": "host"}
    message = refusal(write(tmp_path, {"relations": {"own": entry}}))
    assert "found relations.own.domian (and 1 more)" in message


def test_a_mapped_column_that_the_contract_lacks_is_named(tmp_path: Path) -> None:
    message = refusal(write(tmp_path, nested("logs/tables/live/columns/uid", "u")))
    assert "columns maps ['uid'], which log_event_v1 lacks" in message
    assert "logs.tables.live]" in message
    assert Event.USER_ID in message
    assert "'ds'" not in message, "the day is derived, never mapped"


WRONG_TYPES = [
    ("seed", "0", "expected a valid integer, found '0' at seed"),
    ("seed", True, "expected a valid integer, found True at seed"),
    ("embed/dim", 1.5, "expected a valid integer, found 1.5 at embed.dim"),
    ("embed/dim", 0, "expected greater than or equal to 1, found 0 at embed.dim"),
    ("embed", 3, "expected a mapping, found 3 at embed"),
    ("embed/training/epochs", 0, "expected greater than or equal to 1, found 0 at embed.training.epochs"),
    ("embed/training/decay", 1.5, "expected less than or equal to 1, found 1.5 at embed.training.decay"),
    ("embed/training/epoch", 3, "expected only known keys, found embed.training.epoch"),
    ("embed/share", 1.1, "expected less than or equal to 1, found 1.1 at embed.share"),
    ("embed/cold_every_days", 0, "expected greater than or equal to 1, found 0 at embed.cold_every_days"),
    ("embed/lazy", "yes please", "expected a valid boolean, found 'yes please' at embed.lazy"),
    ("holdout_days", 2, "expected less than or equal to 1, found 2 at holdout_days"),
    ("warehouse", 5, "expected a path, found 5 at warehouse"),
    ("logs/root", [], "expected a path, found () at logs.root"),
    ("logs/tables/live/format", "orc", "expected 'parquet', 'csv' or 'jsonl', found 'orc' at logs.tables.live.format"),
    ("logs/tables/live/columns/ts", 5, "expected a mapping, found 5 at logs.tables.live.columns.ts"),
    ("nodes/user/column", "uid", "found 'uid' at nodes.user.column"),
    ("relations/watches_video/sign", 0, "expected -1 or 1, found 0 at relations.watches_video.sign"),
    ("relations/watches_video/cap", float("nan"), "found nan at relations.watches_video.cap"),
    ("relations/watches_video/actions", "watch", "expected a list, found 'watch' at relations.watches_video.actions"),
    ("relations/own", None, "expected a mapping, found None at relations.own"),
    ("publish/keep", 0, "expected greater than or equal to 1, found 0 at publish.keep"),
    ("publish/ttl_days/user", -1, "expected greater than or equal to 0, found -1 at publish.ttl_days.user"),
    ("publish/pins", ["latest"], "found 'latest' at publish.pins"),
    ("publish/mirror", "gs://bucket", "found 'gs://bucket' at publish.mirror"),
    ("gates/zero_rows/green_max", float("nan"), "found nan at gates.zero_rows.green_max"),
    ("gates/zero_rows/types/user/min_rows", -1, "found -1 at gates.zero_rows.types.user.min_rows"),
    ("gates/zero_rows/types/user/green", 1, "expected only known keys, found gates.zero_rows.types.user.green"),
    ("gates/zero_row", {"green_max": 1}, "expected the key gates.zero_row.meaning, found nothing"),
    (
        "gates/zero_rows/amber_max",
        0,
        "expected amber_max at or beyond green_max, found amber_max 0 and",
    ),
    ("gates/mean_cosine/types/user/amber_min", 1, "expected amber_min at or beyond green_min, found amber_min 1 and"),
    (
        "gates/zero_rows/types/robot/green_max",
        0,
        "gates.zero_rows.types: expected a node type under nodes: or",
    ),
]


@pytest.mark.parametrize(("path", "value", "expected"), WRONG_TYPES, ids=[p for p, _, _ in WRONG_TYPES])
def test_a_setting_of_the_wrong_type_or_range_is_named(tmp_path: Path, path: str, value: Any, expected: str) -> None:
    assert expected in refusal(write(tmp_path, nested(path, value)))


UNDECLARED = [
    ("relations/watches_video/domain", "radio", "relations.watches_video.domain: expected a surface under surfaces:"),
    ("relations/watches_video/actions", ["hum"], "relations.watches_video.actions: expected an action of surfaces"),
    ("relations/watches_video/from", "robot", "relations.watches_video.from: expected a node type under nodes:"),
    ("relations/watches_video/to", "robot", "relations.watches_video.to: expected a node type under nodes:"),
    ("surfaces/live/item_types", ["robot"], "surfaces.live.item_types: expected a node type under nodes:"),
    ("evaluate/targets/video/relations", ["hums"], "evaluate.targets.video: expected a relation under relations:"),
    ("evaluate/targets/video/history", ["hums"], "evaluate.targets.video: expected a relation under relations:"),
]


@pytest.mark.parametrize(("path", "value", "expected"), UNDECLARED, ids=[p for p, _, _ in UNDECLARED])
def test_a_name_that_is_not_declared_is_named(tmp_path: Path, path: str, value: Any, expected: str) -> None:
    message = refusal(write(tmp_path, nested(path, value)))
    assert expected in message
    name = value[0] if isinstance(value, list) else value
    assert f"found {name!r} [" in message


def test_a_node_of_an_item_type_that_no_surface_has_is_named(tmp_path: Path) -> None:
    message = refusal(write(tmp_path, nested("nodes/video/item_type", "vidoe")))
    assert "nodes.video.item_type" in message
    assert "'vidoe'" in message


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        (
            "relations/watch:live",
            {"domain": "live", "actions": ["watch"], "from": "user", "to": "host"},
            "match pattern",
        ),
        ("nodes/a b", {"column": "room_id"}, "match pattern"),
        ("seed", -1, "greater than or equal to 0"),
        ("embed/markov_time", 2, "an even number of steps"),
        ("embed/model", "gcn", "expected one of autocovariance, hybrid"),
        ("embed/model", "hybrid", "model hybrid learns beside the walk from histories: expected walk: history"),
        (
            "embed",
            {"model": "hybrid", "walk": "joint"},
            "model hybrid learns beside the walk from histories: expected walk: history",
        ),
        (
            "logs/tables/live/columns",
            {"user_id": {"column": "u", "unit": "s"}},
            "columns.user_id: expected a unit of []",
        ),
        ("logs/tables/live/columns", {"duration": {"column": "d", "unit": "iso"}}, "columns.duration: expected a unit"),
        ("logs/tables/live/columns", {"value": {"column": "v", "map": {"a": "b"}}}, "only words can be renamed"),
        ("logs/tables/live/columns", {"event_id": {"value": "x"}}, "expected a column, found a constant"),
        ("relations/watches_live_of/in_graph", False, "evaluate.targets.live_host.history"),
    ],
)
def test_a_setting_that_could_not_do_what_it_says_is_refused(
    tmp_path: Path, path: str, value: Any, expected: str
) -> None:
    assert expected in refusal(write(tmp_path, nested(path, value)))


def test_a_walk_from_histories_needs_somebody_who_acts(tmp_path: Path) -> None:
    back = {"domain": "live", "actions": ["watch"], "from": "host", "to": "user"}
    folder = write(tmp_path, {"embed": {"walk": "history"}, "relations": {"back": back}})
    assert "embed.walk: history needs a node type that relations start from and none ends at" in refusal(folder)


def test_the_training_that_is_configured_is_that_of_the_model_by_default() -> None:
    configured = load_config(LOCAL).embed.training.model_dump()
    of_gnn = configured.pop("gnn")
    assert configured == asdict(Training())
    assert settings_of(vocab.GNN, load_config(LOCAL).embed) == NeighbourTraining()
    assert {**configured, **of_gnn}.keys() == {**configured, **asdict(NeighbourTraining())}.keys()


def test_every_model_that_fit_knows_can_be_set(tmp_path: Path) -> None:
    for model in vocab.MODELS:
        (tmp_path / model).mkdir()
        folder = write(tmp_path / model, {"embed": {"model": model, "walk": "history"}})
        assert load_config(folder).embed.learns == (model != vocab.AUTOCOVARIANCE)


def test_a_fingerprint_of_a_section_that_is_none_is_refused() -> None:
    with pytest.raises(KeyError, match="embd"):
        load_config(LOCAL).fingerprint("embd")


def test_a_target_must_be_answered_by_relations_between_its_own_ends(tmp_path: Path) -> None:
    message = refusal(write(tmp_path, nested("evaluate/targets/video/history", ["watches_live_of"])))
    assert "expected relations from user to video, found watches_live_of from user to host" in message


@pytest.mark.parametrize("source", [{}, {"column": "a", "value": "b"}])
def test_a_column_comes_from_one_place(tmp_path: Path, source: dict[str, str]) -> None:
    folder = write(tmp_path, nested("logs/tables/live/columns/user_id", source))
    assert "give either column: (a source column) or value: (a constant)" in refusal(folder)


def test_a_column_may_be_mapped_by_its_name_alone(tmp_path: Path) -> None:
    config = load(tmp_path, "logs/tables/live/columns", {"user_id": "uid", "ts": {"column": "t", "unit": "s"}})
    table = config.logs.tables["live"]
    assert table.source_of("user_id") == ColumnSource(column="uid")
    assert table.source_of("ts") == ColumnSource(column="t", unit="s")
    assert table.source_of("domain") == ColumnSource(value="live"), "from the base"
    assert table.source_of("item_id") is None


def test_values_may_be_renamed_to_any_word(tmp_path: Path) -> None:
    renamed = {"root": "watch", "warehouse": "like"}
    config = load(tmp_path, "logs/tables/live/columns/action", {"column": "a", "map": renamed})
    source = config.logs.tables["live"].source_of("action")
    assert source
    assert source.map == renamed


def test_mappings_merge_key_by_key_and_all_else_replaces(tmp_path: Path) -> None:
    write(
        tmp_path,
        {"embed": {"dim": 8}, "relations": {"watches_video": {"cap": 3, "actions": ["watch", "like"]}}},
        "a.yaml",
    )
    top = write(
        tmp_path, {"embed": {"lazy": True}, "relations": {"watches_video": {"actions": ["watch"]}}}, extends="a.yaml"
    )
    config, base = load_config(top), load_config(LOCAL)
    assert (config.embed.dim, config.embed.lazy, config.embed.markov_time) == (8, True, base.embed.markov_time)
    relation = config.relations["watches_video"]
    assert (relation.cap, relation.actions) == (3, ("watch",))
    assert relation.strength == "duration_percentile"
    assert config.relations.keys() == base.relations.keys()


def test_defaults_fill_every_entry_and_give_way_to_it(tmp_path: Path) -> None:
    changes = {
        "relation_defaults": {"half_life_days": 3},
        "relations": {"buys_product": {"half_life_days": 30}},
        "logs": {"table_defaults": {"format": "csv"}, "tables": {"live": {"format": "jsonl"}}},
    }
    config = load_config(write(tmp_path, changes))
    assert config.relations["buys_product"].half_life_days == 30
    assert config.relations["watches_video"].half_life_days == 3
    assert config.logs.tables["live"].format == "jsonl"
    assert config.logs.tables["search"].format == "csv"


def test_a_relation_that_is_only_a_label_is_in_no_graph_and_the_longest_window_counts(tmp_path: Path) -> None:
    changes = {"relations": {"buys_product": {"in_graph": False, "window_days": 60}}}
    config = load_config(write(tmp_path, changes))
    assert "buys_product" not in config.graph_relations
    assert len(config.graph_relations) == len(config.relations) - 1
    assert config.window_days == 60


def test_a_base_is_named_relative_to_the_file_that_extends_it(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    write(tmp_path, {"seed": 7}, "a.yaml")
    assert load_config(write(tmp_path / "deep", {}, extends="../a.yaml")).seed == 7


def test_a_chain_that_never_ends_is_refused(tmp_path: Path) -> None:
    write(tmp_path, {}, "a.yaml", extends="b.yaml")
    write(tmp_path, {}, "b.yaml", extends="a.yaml")
    assert "a chain of extends: that ends" in refusal(tmp_path / "a.yaml")
    assert "a chain of extends: that ends" in refusal(write(tmp_path, {}, extends="own.yaml"))


def test_the_warehouse_and_the_logs_may_be_given_from_outside(tmp_path: Path) -> None:
    config = load_config(LOCAL, logs=tmp_path / "l", warehouse=tmp_path / "w")
    assert (config.logs.root, config.warehouse) == (tmp_path / "l", tmp_path / "w")
    assert config.logs.tables == load_config(LOCAL).logs.tables


UNREADABLE = {
    "list": (b"- a\n", "a mapping of settings, found list"),
    "number": (b"5\n", "a mapping of settings, found int"),
    "empty": (b"", "a mapping of settings, found NoneType"),
    "unclosed": (b"a: [", "valid YAML, found while parsing"),
    "not text": (b"\xff\xfe\xfa", "valid YAML, found 'utf-8' codec"),
    "python": (b"a: !!python/object/apply:os.getcwd []", "valid YAML, found could not determine a constructor"),
    "key twice": (b"embed: {dim: 1}\nseed: 1\nembed: {}\n", "valid YAML, found the key 'embed' twice"),
    "inner key twice": (b"embed: {dim: 1, dim: 2}\n", "valid YAML, found the key 'dim' twice"),
    "number as key": (b"1: 2\n", "found 1 at 1"),
    "missing base": (b"extends: gone.yaml\n", "a readable YAML file, found No such file or directory"),
    "base of another kind": (b"extends: [a, b]\n", "a readable YAML file, found No such file or directory"),
}


@pytest.mark.parametrize(("content", "expected"), UNREADABLE.values(), ids=UNREADABLE.keys())
def test_a_file_that_holds_no_settings_is_refused(tmp_path: Path, content: bytes, expected: str) -> None:
    path = tmp_path / "own.yaml"
    path.write_bytes(content)
    message = refusal(path)
    assert expected in message
    assert str(tmp_path) in message


def test_a_missing_file_and_a_directory_are_named(tmp_path: Path) -> None:
    assert f"found No such file or directory [{tmp_path / 'gone.yaml'}]" in refusal(tmp_path / "gone.yaml")
    assert f"found Is a directory [{tmp_path}]" in refusal(tmp_path)


def test_settings_cannot_be_changed_after_loading() -> None:
    config = load_config(LOCAL)
    for part, name in ((config, "seed"), (config.embed, "dim"), (config.relations["watches_video"], "cap")):
        with pytest.raises(ValidationError, match="frozen"):
            setattr(part, name, 1)


SECTIONS = ("seed", "holdout_days", "logs", "surfaces", "nodes", "relations", "spark", "embed", "evaluate", "gates")
CHANGES = [
    ("seed", 1),
    ("holdout_days", 0),
    ("logs/max_quarantine_share", 0.5),
    ("logs/tables/live/path", "elsewhere"),
    ("logs/tables/live/columns/user_id", "uid"),
    ("surfaces/live/actions", ["watch", "like", "gift", "follow", "skip", "wave"]),
    ("nodes/user/column", "host_id"),
    ("relations/watches_video/cap", 3),
    ("spark/driver_memory", "1g"),
    ("embed/dim", 8),
    ("embed/training/rate", 0.01),
    ("embed/warm_epochs", 3),
    ("evaluate/k", 10),
    ("gates/count_change/green_min", -0.01),
]


LIVE = {"domain": "live", "actions": ["watch"]}
NUDGES = {"domain": "live", "given": "gift", "policy": None, "lot": None, "delivered": None}
PUSH = {"push": {"cost": 0, "cap": 1}}
EXPOSURE = {**LIVE, "until_hour": 12, "steps": {"few": 1, "many": 10}, "lot": None}
UPLIFT = {"enabled": True, "authorised": LIVE, "starts": LIVE, "nudges": {**NUDGES, "arms": PUSH}, "exposure": EXPOSURE}
NOT_UPLIFT = [
    ({"starts": None}, "enabled without starts"),
    ({"nudges": None, "exposure": None}, "enabled without nudges and exposure"),
    ({"ends": {**LIVE, "domain": "radio"}}, "uplift.ends.domain: expected a surface under surfaces:"),
    ({"revoked": {**LIVE, "actions": ["sing"]}}, "uplift.revoked: expected an action of surfaces.live"),
    ({"nudges": {**NUDGES, "arms": PUSH, "policy": "sing"}}, "uplift.nudges: expected an action of surfaces.live"),
    ({"exposure": {**EXPOSURE, "lot": "sing"}}, "uplift.exposure: expected an action of surfaces.live"),
    ({"nudges": {**NUDGES, "arms": {"push": {"cost": -1, "cap": 1}}}}, "found -1 at uplift.nudges.arms.push.cost"),
    ({"nudges": {**NUDGES, "arms": {"push": {"cost": 1, "cap": 0}}}}, "found 0 at uplift.nudges.arms.push.cap"),
    ({"nudges": {**NUDGES, "arms": {"push": {"cost": 1, "cap": 1.5}}}}, "found 1.5 at uplift.nudges.arms.push.cap"),
    ({"nudges": {**NUDGES, "arms": {"none": PUSH["push"]}}}, "expected arms beside none, which is the control"),
    ({"exposure": {**EXPOSURE, "steps": {"few": 10, "many": 1}}}, "expected numbers of impressions that rise"),
    ({"exposure": {**EXPOSURE, "until_hour": 24}}, "found 24 at uplift.exposure.until_hour"),
    ({"horizons": [1, 3]}, "found 3 at uplift.horizons.1"),
]


@pytest.mark.parametrize(("change", "expected"), NOT_UPLIFT, ids=[expected for _, expected in NOT_UPLIFT])
def test_an_uplift_that_could_not_be_is_refused(tmp_path: Path, change: dict[str, Any], expected: str) -> None:
    message = refusal(write(tmp_path, nested("uplift", {**UPLIFT, **change})))
    assert expected in message
    assert "\n" not in message


def test_an_uplift_of_declared_names_is_a_setting(tmp_path: Path) -> None:
    uplift = load(tmp_path, "uplift", UPLIFT).uplift
    assert uplift.nudges is not None
    assert (uplift.horizons, uplift.nudges.arms["push"].cap) == ((1, 7), 1)
    assert not load_config(LOCAL).uplift.enabled


@pytest.mark.parametrize(("path", "value"), CHANGES, ids=[path for path, _ in CHANGES])
def test_a_fingerprint_changes_with_its_own_section_only(tmp_path: Path, path: str, value: Any) -> None:
    before, after = load_config(LOCAL), load(tmp_path, path, value)
    changed = [name for name in SECTIONS if before.fingerprint(name) != after.fingerprint(name)]
    assert changed == [path.partition("/")[0]]
    assert before.fingerprint(*SECTIONS) != after.fingerprint(*SECTIONS)


def test_a_fingerprint_does_not_depend_on_where_logs_and_warehouse_lie_nor_on_order(tmp_path: Path) -> None:
    one, other = load_config(LOCAL), load_config(LOCAL, logs=tmp_path / "l", warehouse=tmp_path / "w")
    assert one.fingerprint(*SECTIONS) == other.fingerprint(*reversed(SECTIONS))
    assert load(tmp_path, "logs/root", "elsewhere").fingerprint("logs") == one.fingerprint("logs")


def test_the_example_of_the_readme_is_a_configuration(tmp_path: Path) -> None:
    readme = (CONFIGS.parent / "README.md").read_text(encoding="utf-8")
    example = readme.split("## What the graph is made of")[1].split("```yaml")[1].split("```")[0]
    file = tmp_path / "example.yaml"
    file.write_text(f"extends: {CONFIGS / 'local.yaml'}\n{example}", encoding="utf-8")
    config = load_config(file)
    assert config.relations["skips_video"].confirmed_by == ("watch", "like")
    assert config.relations["gifts_host"].value_weight == "log"
    assert {"then_video_host", "then_host_product", "looks_like"} <= config.graph_relations.keys()
    assert config.reach_days == 7


def test_a_gate_has_other_limits_for_a_type_and_its_own_for_the_rest(tmp_path: Path) -> None:
    own = {"mean_cosine": {"min_rows": 7, "types": {"video": {"green_min": 0.85}, "live_host": {"amber_min": 0.7}}}}
    gate = load(tmp_path, "gates", own).gates["mean_cosine"]
    assert (gate.of("user").green_min, gate.of("user").amber_min, gate.of("user").min_rows) == (0.9, 0.8, 7)
    assert (gate.of("video").green_min, gate.of("video").amber_min, gate.of("video").min_rows) == (0.85, 0.8, 7)
    assert gate.of("live_host").amber_min == 0.7
    assert gate.of("video/tail") == gate.of("video")
