"""The page of an uplift: complete, self-contained, and of nothing but text where the data hold markup."""

from __future__ import annotations

import json
import re
from typing import Any
from xml.etree import ElementTree

import pytest

from conftest import Place
from graphrep.pipeline import uplift_report
from graphrep.report import svg
from graphrep.report.uplift import html_page, markdown_page
from made_panel import DS

HOSTILE = '<img src=x onerror="1">|`'


@pytest.fixture
def evidence(fitted_uplift: Place) -> dict[str, Any]:
    return uplift_report.read_evidence(fitted_uplift.run(), DS)


def test_three_files_hold_the_same_and_load_nothing(fitted_uplift: Place, evidence: dict[str, Any]) -> None:
    found = uplift_report.write_reports(fitted_uplift.run(), DS)
    html, markdown = (found[kind].read_text(encoding="utf-8") for kind in ("html", "md"))
    assert json.loads(found["json"].read_text(encoding="utf-8")) == evidence
    assert not re.search(r"https?:|<script|<link|@import|url\(|src=", html)
    for text in (html, markdown):
        for word in ("Effects", "naive", "by lot", "Who gains", "Calibration", "Gain curve", "Overlap", "Gates", "G14"):
            assert word in text, word
    assert html == html_page(evidence), "equal evidence, equal bytes"


def test_every_chart_is_whole_and_shows_what_it_was_given(evidence: dict[str, Any]) -> None:
    charts = re.findall(r"<svg.*?</svg>", html_page(evidence), flags=re.S)
    titles = [ElementTree.fromstring(chart).find("title") for chart in charts]
    named = [title.text for title in titles if title is not None]
    wanted = ("effects by arm", "calibration of push", "gain curve of push", "chance of none", "chance of push")
    for name in wanted:
        assert any(name in str(title) for title in named), name
    effects = ElementTree.fromstring(charts[0])
    assert len(effects.findall("circle")) == 6, "two arms: adjusted, naive, by lot"


def test_words_from_outside_are_text(evidence: dict[str, Any]) -> None:
    text = json.dumps(evidence).replace('"push"', json.dumps(HOSTILE)).replace("of push", "of <b>")
    html, markdown = html_page(json.loads(text)), markdown_page(json.loads(text))
    assert "<img" not in html
    assert "<b>" not in html
    assert "&lt;img src=x onerror=&quot;1&quot;&gt;|`" in html
    for line in markdown.splitlines():
        assert not re.search(r"(?<!\\)[<`]", line), line


def test_a_fit_that_was_refused_says_why() -> None:
    arm = {"treatment": "push", "mode": "none", "status": "none", "reasons": ["too few"]}
    fit = {"family": "nudge", "outcome": "live", "horizon_days": 7, "refused": "too few", "arms": [arm], "gates": []}
    html = html_page({"decision_ds": "2026-03-15", "fits": [fit]})
    assert "Not fitted: too few" in html
    assert "nudge: live within 7 days" in html
    assert "too few" in markdown_page({"decision_ds": "2026-03-15", "fits": [fit]})


def test_charts_without_numbers_are_charts() -> None:
    nothing = float("nan")
    for chart in (
        svg.intervals([svg.Interval("a", nothing, nothing, nothing)], "t"),
        svg.intervals([], "t"),
        svg.curve([0.0, 1.0], [svg.Interval("", 0.0, 0.0, 0.0)] * 2, "t", ("x", "y")),
        svg.scatter([0.1], [svg.Interval("", 0.1, 0.0, 0.2)], "t", ("x", "y")),
        svg.bars([("a", 2.0)], "t"),
        svg.histograms([0.0], [0.0], "t", ("a", "b")),
    ):
        assert "nan" not in chart.lower().replace("not there", "")
        ElementTree.fromstring(chart)
