"""Amazon reviews as pools of raw rows: a few made by hand, then the real pairs where they are at hand."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from graphrep.datasets.public import ADAPTERS, select_sources
from graphrep.errors import InputError
from graphrep.store.sources import read_source

AMAZON = ADAPTERS["amazon-cdsr"]
REAL = Path(__file__).resolve().parents[4] / "shared" / "data" / "amazon_cdsr"
DAY = 86_400
SHOPS = {"afk": ("food", "kitchen"), "abe": ("beauty", "electronics")}
PLACES = {"A": [1, 0], "B": [2, 0], "C": [3, 1]}


def lines_file(pair: str) -> str:
    return f"{pair}_50_preprocessed.txt.gz"


def map_file(pair: str) -> str:
    return f"{pair}_map_item_50.json.gz"


def folder(*lines: str, places: dict[str, Any] = PLACES) -> dict[str, pa.Table]:
    """Both pairs: the lines are those of ``afk``; ``abe`` has one user with one review of each shop."""
    numbers = pa.array(list(places.values()))
    tables = {lines_file("afk"): list(lines), lines_file("abe"): [f"0 1|{DAY} 3|{DAY}"]}
    given = {name: pa.table({"line": pa.array(text, pa.string())}) for name, text in tables.items()}
    given[map_file("afk")] = pa.table({"asin": list(places), "place": numbers})
    given[map_file("abe")] = pa.table({"asin": list(PLACES), "place": list(PLACES.values())})
    return given


def pools(tables: dict[str, pa.Table]) -> dict[str, list[tuple[int, str, str, str]]]:
    """Shop -> (ts, user, action, item) of each row, in order."""
    found = {}
    for shop, ds, rows in AMAZON.convert(tables):
        assert ds is None
        found[shop] = [(r["ts"], r["user_id"], r["action"], r["item_id"]) for r in rows.to_pylist()]
    return found


def test_the_files_of_both_pairs_are_asked_for_packed_or_not() -> None:
    plain = [name.removesuffix(".gz") for pair in SHOPS for name in (lines_file(pair), map_file(pair))]
    assert set(select_sources(AMAZON, [*plain, "readme.txt"])) == set(plain)
    with pytest.raises(InputError, match=r"one file afk_50_preprocessed\.txt\*, found .*txt, .*txt\.gz"):
        select_sources(AMAZON, [*plain, lines_file("afk")])
    with pytest.raises(InputError, match=r"a file abe_map_item_50\.json\*"):
        select_sources(AMAZON, plain[:3])


def test_each_shop_is_a_pool_and_keys_say_of_which_pair() -> None:
    assert pools(folder(f"0 1|{DAY} 3|{2 * DAY}", f"7 2|{DAY}")) == {
        "food": [(DAY * 1000, "afk-u0", "review", "afk-i1"), (DAY * 1000, "afk-u7", "review", "afk-i2")],
        "kitchen": [(2 * DAY * 1000, "afk-u0", "review", "afk-i3")],
        "beauty": [(DAY * 1000, "abe-u0", "review", "abe-i1")],
        "electronics": [(DAY * 1000, "abe-u0", "review", "abe-i3")],
    }


def test_the_order_of_a_file_is_no_order_of_events() -> None:
    one = pools(folder(f"0 1|{DAY} 2|{DAY} 3|{DAY}", f"1 2|{DAY}"))
    assert one == pools(folder(f"1 2|{DAY}", f"0 3|{DAY} 2|{DAY} 1|{DAY}"))
    assert [item for _, user, _, item in one["food"] if user == "afk-u0"] == ["afk-i1", "afk-i2"]


def test_no_reviews_are_four_empty_pools() -> None:
    tables = folder() | {lines_file("abe"): pa.table({"line": pa.array([], pa.string())})}
    assert pools(tables) == {shop: [] for pair in SHOPS.values() for shop in pair}


@pytest.mark.parametrize(
    "wrong",
    ["", "0", "u0 1|86400", "0 1", "0 1|86400 ", "0  1|86400", "0 1|86400|2", "0 -1|86400", "0 1|8640000000000"],
)
def test_another_line_is_counted_and_its_number_told(wrong: str) -> None:
    with pytest.raises(InputError, match=r"found 2 other lines, the first is line 2 \[afk_50_preprocessed"):
        AMAZON.convert(folder(f"0 1|{DAY}", wrong, f"1 1|{DAY}", wrong))


def test_a_time_inside_a_day_is_refused() -> None:
    with pytest.raises(InputError, match=rf"found 1 others, the first is {DAY + 1} \[afk_50"):
        AMAZON.convert(folder(f"0 1|{DAY} 2|{DAY + 1}"))


def test_a_review_of_an_item_without_a_shop_is_refused() -> None:
    with pytest.raises(InputError, match=r"found 2 reviews of items without a domain, the first of item 9 \[afk_50"):
        AMAZON.convert(folder(f"0 1|{DAY} 9|{DAY}", f"1 8|{DAY}"))


@pytest.mark.parametrize(
    ("places", "message"),
    [
        ({"A": [1, 2]}, r"domain 0 or 1, found 1 items with 1 numbers, domains \[2\]"),
        ({"A": [1, 0], "B": [1, 1]}, r"found 2 items with 1 numbers"),
        ({"A": [1, 0, 0]}, r"\[item number, domain\] of each item"),
        ({"A": [1, 0], "B": None}, r"\[item number, domain\] of each item"),
        ({"A": 1}, r"\[item number, domain\] of each item, found a int64"),
        ({"A": ["1", "0"]}, r"found a list<.*string>"),
    ],
)
def test_a_wrong_map_of_items_is_refused(places: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=rf"{message}.*\[afk_map"):
        AMAZON.convert(folder(f"0 1|{DAY}", places=places))


def test_the_real_pairs_are_all_there() -> None:
    if not REAL.is_dir():
        pytest.skip("the Amazon pairs are not beside the repository")
    chosen = select_sources(AMAZON, [path.name for path in REAL.iterdir()])
    found = pools({name: read_source(REAL / name, list(columns)) for name, columns in chosen.items()})
    assert {shop: len(rows) for shop, rows in found.items()} == {
        "food": 83_663,
        "kitchen": 89_885,
        "beauty": 50_329,
        "electronics": 63_800,
    }
    assert sum(len(found[shop]) for shop in SHOPS["afk"]) == 173_548
    assert sum(len(found[shop]) for shop in SHOPS["abe"]) == 114_129
    for pair, shops in SHOPS.items():
        expected = plainly_read(pair)
        assert {shop: Counter(found[shop]) for shop in shops} == expected


def plainly_read(pair: str) -> dict[str, Counter[tuple[int, str, str, str]]]:
    """The same rows, read line by line and word by word."""
    with gzip.open(REAL / map_file(pair), "rt") as text:
        domain = dict(json.load(text).values())
    rows: dict[str, Counter[tuple[int, str, str, str]]] = {shop: Counter() for shop in SHOPS[pair]}
    with gzip.open(REAL / lines_file(pair), "rt") as text:
        for line in text:
            user, *reviews = line.split()
            for item, time in (review.split("|") for review in reviews):
                shop = SHOPS[pair][domain[int(item)]]
                rows[shop][int(time) * 1000, f"{pair}-u{user}", "review", f"{pair}-i{item}"] += 1
    return rows
