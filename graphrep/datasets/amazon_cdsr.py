"""Amazon reviews of users of two shops (ABXI, WWW 2025): Food with Kitchen, Beauty with Electronics.

Each line of a pair's file is one user and his last 50 reviews, ``item|time``. Times are days, written as seconds, and
31% of a user's neighbouring reviews share one. Inside a day the file is sorted by item number, which is no order of
events: equal times are never an order, and rows of one time are sorted by their keys here.

Each shop becomes a pool of rows, not one file per day: fourteen years hold thousands of days with a few reviews each.

* Users and items are numbered apart in each pair, and the keys say so: ``afk-u12``, ``afk-i12``, ``abe-u12``,
  ``abe-i12``. A person in both pairs has two keys; the source does not tell who that is.
* The published protocol tests on each user's last review and validates on the one before. This is a log and holds
  both: who evaluates by that protocol takes them off himself.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from graphrep import vocab
from graphrep.contracts import Event
from graphrep.datasets.adapter import Adapter, Pool, Source, Tables, Times, keys, ordered_rows, raw_rows, tables_of
from graphrep.errors import InputError

PAIRS = {"afk": ("food", "kitchen"), "abe": ("beauty", "electronics")}
"""Pair -> its two shops, in the order of the source's domain numbers 0 and 1."""

REVIEW = "review"

REVIEWS = {pair: Source(f"{pair}_50_preprocessed.txt*", ("line",)) for pair in PAIRS}
ITEMS = {pair: Source(f"{pair}_map_item_50.json*", ("asin", "place")) for pair in PAIRS}

LINE = r"^\d{1,15}( \d{1,15}\|\d{1,12})+$"
DAY_S = vocab.DAY_MS // 1000

Numbers = npt.NDArray[np.int64]


def convert(tables: Tables) -> Iterator[Pool]:
    """Each shop's reviews as one pool of raw rows.

    Raises:
        InputError: a file is missing, a line or a time is not as described, or an item belongs to no shop.
    """
    return iter([pool for pair, shops in PAIRS.items() for pool in _pools(pair, shops, tables)])


def _pools(pair: str, shops: tuple[str, str], tables: Tables) -> list[Pool]:
    ((name, lines),) = tables_of(REVIEWS[pair], tables).items()
    ((name_of_items, items),) = tables_of(ITEMS[pair], tables).items()
    users, reviewed, times = _reviews(lines["line"], name)
    shop = _shops(reviewed, _places(items["place"], name_of_items), name)
    rows = raw_rows(
        times * 1000,
        **{
            Event.USER_ID: keys(f"{pair}-u", users),
            Event.ACTION: REVIEW,
            Event.ITEM_ID: keys(f"{pair}-i", reviewed),
        },
    )
    return [(name, None, ordered_rows(rows.filter(pc.equal(shop, n)))) for n, name in enumerate(shops)]


def _reviews(column: pa.ChunkedArray, where: str) -> tuple[pa.Array, pa.Array, Times]:
    """(reviews,) each: the user, the item's number, the second at which the day begins."""
    lines = column.combine_chunks()
    wrong = pc.indices_nonzero(pc.invert(pc.match_substring_regex(lines, LINE)))
    if len(wrong):
        found = f"{len(wrong)} other lines, the first is line {wrong[0].as_py() + 1}"
        raise InputError("lines of 'user item|time item|time …'", found=found, where=where)
    cells = pc.split_pattern(lines, " ")
    words, line = pc.list_flatten(cells), pc.list_parent_indices(cells)
    is_review = pc.match_substring(words, "|")
    users = pc.take(words.filter(pc.invert(is_review)), line.filter(is_review))
    halves = pc.split_pattern(words.filter(is_review), "|")
    items, times = (pc.cast(pc.list_element(halves, n), pa.int64()) for n in (0, 1))
    within = times.filter(pc.not_equal(pc.multiply(pc.divide(times, DAY_S), DAY_S), times))
    if len(within):
        found = f"{len(within)} others, the first is {within[0]}"
        raise InputError("times at which a day begins", found=found, where=where)
    return users, items, times.to_numpy()


def _places(column: pa.ChunkedArray, where: str) -> Numbers:
    """(items, 2): each item's number and its domain, 0 or 1."""
    lists = column.combine_chunks()
    paired = pa.types.is_list(lists.type) and pa.types.is_integer(lists.type.value_type) and not lists.null_count
    if not paired or not pc.all(pc.equal(pc.list_value_length(lists), 2)).as_py():
        raise InputError("[item number, domain] of each item", found=f"a {lists.type}", where=where)
    places: Numbers = lists.flatten().to_numpy().reshape(-1, 2)
    numbers, domains = (np.unique(column) for column in places.T)
    if len(numbers) < len(places) or not set(domains) <= {0, 1}:
        found = f"{len(places)} items with {len(numbers)} numbers, domains {domains.tolist()}"
        raise InputError("each item number once, in domain 0 or 1", found=found, where=where)
    return places


def _shops(reviewed: pa.Array, places: Numbers, where: str) -> pa.Array:
    """(reviews,): the domain of each reviewed item."""
    place = pc.index_in(reviewed, value_set=pa.array(places[:, 0]))
    unknown = reviewed.filter(pc.is_null(place))
    if len(unknown):
        found = f"{len(unknown)} reviews of items without a domain, the first of item {unknown[0]}"
        raise InputError("reviews of items of the map", found=found, where=where)
    return pc.take(pa.array(places[:, 1]), place)


ADAPTER = Adapter("amazon-cdsr", (*REVIEWS.values(), *ITEMS.values()), convert)
