"""Stage ``uplift`` on a generated panel: fitted, judged, scored; and what is held back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from conftest import Place
from graphrep import vocab
from graphrep.contracts import check_table
from graphrep.contracts.uplift import Panel
from graphrep.contracts.uplift_scores import SCORES, Score
from graphrep.errors import ConfigError, InputError
from graphrep.pipeline import uplift, uplift_fit, uplift_frame, uplift_score
from graphrep.pipeline.uplift_judge import Verdict, without_lot
from graphrep.store import runlog
from graphrep.uplift import Decision, figures, small_arms
from made_panel import DS, LOOSE, settings, write_panel

DECISION = "2026-03-15"


@pytest.fixture
def rows(golive_panel: pa.Table) -> pa.Table:
    return golive_panel


@pytest.fixture
def fitted(fitted_uplift: Place) -> Place:
    return fitted_uplift


def placed(root: Path, table: pa.Table | None = None, **fit: Any) -> Place:
    place = Place(root)
    place.configure(lambda own: own.update(uplift=settings(**fit)))
    if table is not None:
        write_panel(place.warehouse, table)
    return place


@pytest.fixture
def scores(fitted: Place) -> pa.Table:
    found = uplift.day_scores(fitted.run(), DS)
    assert found is not None
    return found


def record_of(place: Place) -> dict[str, Any]:
    found = runlog.read_stage(place.warehouse, DS, vocab.UPLIFT)
    assert found
    return found


def test_every_host_of_the_next_day_gets_a_score_of_each_arm(fitted: Place, scores: pa.Table) -> None:
    check_table(scores, SCORES)
    record = record_of(fitted)
    assert (record["decision_ds"], record["hosts"], record["rows"]) == (DECISION, 500, 1000)
    assert set(scores[Score.DECISION_DS].to_pylist()) == {DECISION}
    assert set(scores[Score.VALID_UNTIL].to_pylist()) == {"2026-03-17"}
    assert set(scores[Score.EMBEDDING_AS_OF].to_pylist()) == {DS}
    by_arm = {arm: scores.filter(pc.equal(scores[Score.TREATMENT], arm)) for arm in ("banner", "push")}
    push, banner = (pc.mean(by_arm[arm][Score.UPLIFT]).as_py() for arm in ("push", "banner"))
    assert push == pytest.approx(0.2, abs=0.06), "the truth"
    assert banner == pytest.approx(0.0, abs=0.06)
    ranks = by_arm["push"][Score.RANK_PCT].to_numpy()
    assert ranks.mean() == pytest.approx(0.5)
    (fit,) = record["fits"]
    assert fit["days"] == ["2026-03-08", DS]
    shown = {arm["treatment"]: arm for arm in fit["arms"]}
    assert shown["push"]["naive"]["value"] > shown["push"]["effect"]["value"], "the policy favours the active"
    assert shown["push"]["least_detectable"] == pytest.approx(2.8 * shown["push"]["effect"]["error"])


def test_done_again_it_reads_the_record_and_made_anew_it_gives_the_same_bytes(
    fitted: Place, tmp_path: Path, rows: pa.Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = placed(tmp_path, rows, limits=LOOSE)
    assert uplift.run_uplift(other.run(), DS)["files"] == record_of(fitted)["files"]
    monkeypatch.setattr(uplift, "fitted_task", None)
    assert uplift.run_uplift(other.run(), DS) == record_of(other)


def test_where_it_is_not_enabled_nothing_is_made(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.configure()
    assert uplift.run_uplift(place.run(), DS) == {"enabled": False}
    assert not place.warehouse.exists()


def test_a_day_without_a_panel_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=rf"the panel of {DS}, found none"):
        uplift.run_uplift(placed(tmp_path).run(), DS)


def test_a_day_is_not_published_without_its_uplift_by_an_oversight(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=rf"the uplift of {DS}, found none; run graphrep run --to uplift"):
        uplift.day_scores(placed(tmp_path).run(), DS)


def changed(table: pa.Table, name: str, change: Callable[[list[Any]], list[Any]]) -> pa.Table:
    place = table.schema.get_field_index(name)
    field = table.schema.field(place)
    return table.set_column(place, field, pa.array(change(table[name].to_pylist()), field.type))


def repeated(table: pa.Table) -> pa.Table:
    return pa.concat_tables([table, table.slice(0, 1)])


def never_live(table: pa.Table) -> pa.Table:
    return changed(table, Panel.LIVE_1D, lambda own: [None if value is None else 0.0 for value in own])


def immature(table: pa.Table) -> pa.Table:
    return changed(table, Panel.LIVE_1D, lambda own: [None] * len(own))


def only(table: pa.Table, arms: tuple[str, ...], few: int = 0) -> pa.Table:
    """The rows of some arms, a few of the others, and those of the day that is scored."""
    given = table[Panel.ARM].to_pylist()
    chosen = np.array([arm is None or arm in arms for arm in given])
    chosen[np.flatnonzero(~chosen)[:few]] = True
    return table.filter(pa.array(chosen))


def known_too_early(table: pa.Table) -> pa.Table:
    return changed(table, Panel.AS_OF, lambda own: table[Panel.DS].to_pylist())


def slipped_vector(table: pa.Table) -> pa.Table:
    return changed(table, Panel.EMBEDDING_DS, lambda own: table[Panel.DS].to_pylist())


def not_finite(value: float) -> Callable[[pa.Table], pa.Table]:
    return lambda table: changed(table, Panel.NUDGES_7, lambda own: [value, *own[1:]])


BAD: dict[str, tuple[Callable[[pa.Table], pa.Table], str]] = {
    "one arm only": (lambda t: only(t, ("push",)), r"a control and an arm with enough rows, found none: 0 rows"),
    "no control": (lambda t: only(t, ("push", "banner")), r"found none: 0 rows, 50 needed"),
    "arms with ten rows": (lambda t: only(t, ("none",), 10), r"banner: 5 rows, 50 needed; push: 5 rows"),
    "a constant outcome": (never_live, r"0 rows with an outcome above 0"),
    "a NaN covariate": (not_finite(float("nan")), r"no NaN covariates, found 1"),
    "an infinite covariate": (not_finite(float("inf")), r"no infinite covariates, found 1"),
    "a host-day twice": (repeated, r"each host-day once, found 1 repeated"),
    "an input of the day itself": (known_too_early, r"inputs as of a day before the decision.*as_of"),
    "a vector of the day itself": (slipped_vector, r"inputs as of a day before the decision.*embedding"),
    "no outcome that is mature": (immature, r"mature host-days, found none of"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_holds_the_fit_back_in_one_line(name: str, rows: pa.Table, tmp_path: Path) -> None:
    change, message = BAD[name]
    place = placed(tmp_path, change(rows))
    record = uplift.run_uplift(place.run(), DS)
    (fit,) = record["fits"]
    with pytest.raises(InputError, match=message):
        raise InputError(fit["refused"])
    assert "\n" not in fit["refused"]
    assert [arm["mode"] for arm in fit["arms"]] == ["none", "none"]
    assert (record["rows"], record["hosts"]) == (0, 0)


@pytest.fixture
def task(fitted: Place) -> uplift_frame.Task:
    return next(uplift_frame.tasks_of(fitted.run().config))


def test_an_arm_with_ten_rows_is_left_out_and_the_others_stay(rows: pa.Table, task: uplift_frame.Task) -> None:
    frame = uplift_frame.training(only(rows, ("none", "push"), 10), task, "s", 3).frame
    assert small_arms(frame, 50, 10) == {"banner": "10 rows, 50 needed"}


def test_hosts_outside_the_graph_get_zeros_and_a_flag(rows: pa.Table, task: uplift_frame.Task) -> None:
    absent = changed(rows, Panel.EMBEDDING, lambda own: [None, *own[1:]])
    frame = uplift_frame.training(absent, task, "s", 3).frame
    assert frame.names[-4:] == ("embedding.0", "embedding.1", "embedding.2", "embedding.known")
    assert frame.X[0, -4:].tolist() == [0, 0, 0, 0]
    assert frame.X[1:, -1].all()
    assert not uplift_frame.training(rows, task, "another space", 3).frame.in_graph.any()


def test_rows_whose_arm_was_certain_are_left_out_and_counted(rows: pa.Table, task: uplift_frame.Task) -> None:
    certain = changed(rows, Panel.CHANCES, lambda own: [[1.0, 0.0, 0.0], *own[1:]])
    found = uplift_frame.training(certain, task, "s", 3)
    assert found.left_out == {"immature": 500, "other_arm": 0, "certain": 1}
    with pytest.raises(InputError, match="3 chances in each row"):
        uplift_frame.training(changed(rows, Panel.CHANCES, lambda own: [[1.0]] * len(own)), task, "s", 3)


def test_a_boost_that_was_drawn_tells_its_effect_without_a_model(rows: pa.Table, task: uplift_frame.Task) -> None:
    draws = np.random.default_rng(0).integers(0, 2, rows.num_rows).tolist()
    lives = [None if old is None else float(z) for old, z in zip(rows[Panel.LIVE_1D].to_pylist(), draws, strict=True)]
    table = changed(rows, Panel.BOOST, lambda own: draws)
    table = changed(changed(table, Panel.BOOST_CHANCE, lambda own: [0.5] * len(own)), Panel.LIVE_1D, lambda own: lives)
    found = uplift_frame.training(table, task, "s", 3)
    shown = figures.boosted(found.frame.outcome, found.boost, found.boost_chance, found.frame.codes)
    assert shown is not None
    assert shown["rows"] == len(found.frame) == 3500
    assert shown["value"] == pytest.approx(1.0, abs=0.01), "who is boosted goes live, nobody else does"
    assert shown["error"] < 0.05
    none = uplift_frame.training(rows, task, "s", 3)
    assert figures.boosted(none.frame.outcome, none.boost, none.boost_chance, none.frame.codes) is None


def decided(source: str, by: str = "adjustment") -> Decision:
    modes = {"chosen": "pass", "none": "blocked"}
    return Decision(modes.get(source, "degraded"), source, by, True, (f"failed: {source}",))


def judged_as(monkeypatch: pytest.MonkeyPatch, **decisions: Decision) -> None:
    verdict = Verdict(decisions, [], {}, None, all_by_lot=False)
    monkeypatch.setattr(uplift_fit, "judge", lambda *given: verdict)


def test_an_arm_without_heterogeneity_gets_its_average_and_a_refuted_one_that_of_the_lot(
    rows: pa.Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged_as(monkeypatch, push=decided("constant"), banner=decided("constant", "randomised"))
    place = placed(tmp_path, rows)
    (fit,) = uplift.run_uplift(place.run(), DS)["fits"]
    assert [(arm["treatment"], arm["mode"]) for arm in fit["arms"]] == [("banner", "by_lot"), ("push", "constant")]
    found = uplift.day_scores(place.run(), DS)
    assert found is not None
    about = found.group_by([Score.TREATMENT, Score.UPLIFT, Score.EFFECT_SOURCE, Score.IDENTIFIED_BY]).aggregate([])
    push, banner = sorted(about.to_pylist(), key=lambda row: row[Score.TREATMENT], reverse=True)
    assert (push[Score.EFFECT_SOURCE], push[Score.IDENTIFIED_BY]) == ("constant", "adjustment")
    assert push[Score.UPLIFT] == fit["arms"][1]["effect"]["value"]
    assert (banner[Score.EFFECT_SOURCE], banner[Score.IDENTIFIED_BY]) == ("constant", "randomised")
    assert banner[Score.UPLIFT] != fit["arms"][0]["effect"]["value"]


def test_a_blocked_arm_has_no_row_and_the_last_good_day_serves_for_as_long_as_it_holds(
    rows: pa.Table, scores: pa.Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged_as(monkeypatch, push=decided("none"), banner=decided("previous"))
    for until, hosts in (("2026-03-15", 500), ("2026-03-14", 0)):
        place = placed(tmp_path / until, rows)
        old = changed(scores, Score.VALID_UNTIL, lambda own, until=until: [until] * len(own))
        monkeypatch.setattr(uplift, "scores_of", lambda run, release_id, old=old: old)
        record = uplift.run_uplift(place.run(), DS)
        modes = {arm["treatment"]: arm["mode"] for arm in record["fits"][0]["arms"]}
        assert modes == {"banner": "previous" if hosts else "none", "push": "none"}
        found = uplift.day_scores(place.run(), DS)
        assert found is not None
        assert found.num_rows == hosts
        assert set(found[Score.TREATMENT].to_pylist()) == ({"banner"} if hosts else set())
        assert set(found[Score.VALID_UNTIL].to_pylist()) == ({until} if hosts else set())
        assert set(found[Score.EFFECT_SOURCE].to_pylist()) == ({"previous"} if hosts else set())


def test_the_rows_of_a_lot_that_is_not_believed_count_as_those_of_the_policy(
    rows: pa.Table, task: uplift_frame.Task
) -> None:
    frame = uplift_frame.training(rows, task, "s", 3).frame
    doubted = without_lot(frame)
    assert not doubted.randomised.any()
    assert np.isnan(doubted.propensity[frame.randomised]).all()
    assert not np.isnan(doubted.propensity[~frame.randomised]).any()


def test_scored_again_from_the_models_on_disk_not_a_byte_changes(fitted: Place) -> None:
    before = record_of(fitted)
    assert uplift_score.score_day(fitted.run(), DS, by_spark=False) == before
    with pytest.raises(InputError, match="fitted models of 2026-03-13, found none"):
        uplift_score.score_day(fitted.run(), "2026-03-13", by_spark=False)


def test_a_limit_that_no_gate_has_is_refused(rows: pa.Table, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="found 'speed'"):
        uplift.run_uplift(placed(tmp_path, rows, limits={"speed": 1.0}).run(), DS)
