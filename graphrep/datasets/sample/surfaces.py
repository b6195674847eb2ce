"""Short video, e-commerce and search: what the users present on a day do there."""

from __future__ import annotations

from typing import Final

import numpy as np
import pyarrow as pa

from graphrep.contracts.events import Event
from graphrep.datasets.sample.crowd import Crowd
from graphrep.datasets.sample.keys import INTENTS, Keys
from graphrep.datasets.sample.rows import Follow, coded, event_table, timeline, words
from graphrep.datasets.sample.shelf import Ints
from graphrep.datasets.sample.spec import Stream
from graphrep.vocab import ECOMMERCE, HOST, PRODUCT, SEARCH, SHORT_VIDEO, VIDEO

VIDEO_RATE: Final = 5.8  # visits a day of a present user of intensity 1
SHOP_RATE: Final = 1.5
SEARCH_RATE: Final = 0.8
LOYAL: Final = 0.12  # share of short videos that come from a favourite host
STRAY: Final = 0.18  # share of visits that follow popularity, not interest
SHORT_WATCH_S: Final = 3.0  # a skip is a watch cut shorter than this

_VIDEO_ACTIONS: Final = words("watch", "skip", "like", "report")
_WATCH, _SKIP, _LIKE, _REPORT = range(4)
_SHOP_ACTIONS: Final = words("view", "cart", "buy")
_VIEW, _CART, _BUY = range(3)
_SEARCH_ACTIONS: Final = words("click")
_ITEM_TYPES: Final = words(HOST, VIDEO, PRODUCT)


def favourite(rng: np.random.Generator, crowd: Crowd, who: Ints) -> Ints:
    """One of the user's favourite hosts per row."""
    favourites = crowd.people.users.favourites
    return favourites[who, rng.integers(0, favourites.shape[1], len(who))]


def short_video(crowd: Crowd, keys: Keys) -> pa.Table:
    """watch | skip, with the seconds watched; like and report follow. ``host_id`` is the author."""
    rng = crowd.spec.chance(Stream.SHORT_VIDEO, crowd.day)
    users, videos = crowd.people.users, crowd.people.videos
    who, _ = crowd.visits(rng, VIDEO_RATE * users.intensity[crowd.present] ** 0.8)
    n = len(who)
    kind = rng.random(n, dtype=np.float32)
    item = crowd.videos.draw(crowd.topic(rng, who), rng.random(n), kind < STRAY)
    loyal = np.flatnonzero(kind > 1 - LOYAL)
    author = favourite(rng, crowd, who[loyal])
    loyal, author = loyal[(posts := crowd.videos_by_host.has(author))], author[posts]
    item[loyal] = crowd.videos_by_host.draw(author, rng.random(len(loyal)))

    liked = crowd.likes(who, videos.topic[item])
    skip = rng.random(n, dtype=np.float32) < np.where(liked, np.float32(0.06), np.float32(0.50))
    noise = rng.standard_normal(n, dtype=np.float32)
    seconds = np.exp(np.where(liked, np.float32(3.4), np.float32(2.3)) + np.float32(0.7) * noise) + SHORT_WATCH_S
    seconds[skip] = SHORT_WATCH_S * rng.random(int(skip.sum()), dtype=np.float32)
    ts = crowd.clock(rng, who)
    u = rng.random(n, dtype=np.float32)
    fan = np.flatnonzero(~skip & (u < np.where(liked, np.float32(0.12), np.float32(0.02))))
    angry = np.flatnonzero(u > np.where(liked, np.float32(0.9993), np.float32(0.98)))
    follows = [
        Follow(rows, action, ts[rows] + (1000 * seconds[rows]).astype(np.int64))
        for rows, action in ((fan, _LIKE), (angry, _REPORT))
    ]
    line = timeline(skip.astype(np.int8), ts, follows)  # False is _WATCH, True is _SKIP
    item = item[line.source]
    columns = {
        Event.USER_ID: coded(who[line.source], keys.users),
        Event.ACTION: coded(line.action, _VIDEO_ACTIONS),
        Event.ITEM_ID: coded(item, keys.videos),
        Event.HOST_ID: coded(videos.host[item], keys.hosts),
        Event.DURATION: pa.array(seconds[line.source], mask=~line.main),
    }
    return event_table(crowd.spec, SHORT_VIDEO, crowd.day, line, columns)


def ecommerce(crowd: Crowd, keys: Keys) -> pa.Table:
    """view, then perhaps cart, then perhaps buy, minutes apart; ``value`` is the price paid, on buy only."""
    rng = crowd.spec.chance(Stream.ECOMMERCE, crowd.day)
    users, products = crowd.people.users, crowd.people.products
    rate = SHOP_RATE * users.intensity[crowd.present] ** 0.8 * users.shops[crowd.present]
    who, _ = crowd.visits(rng, rate)
    n = len(who)
    item = crowd.products.draw(crowd.topic(rng, who), rng.random(n), rng.random(n) < STRAY)
    liked = crowd.likes(who, products.topic[item])
    ts = crowd.clock(rng, who)
    cart = np.flatnonzero(rng.random(n) < np.where(liked, 0.20, 0.04))
    carted = ts[cart] + rng.integers(10_000, 120_000, len(cart))
    buys = np.flatnonzero(rng.random(len(cart)) < 0.40)
    bought = carted[buys] + rng.integers(20_000, 600_000, len(buys))

    follows = [Follow(cart, _CART, carted), Follow(cart[buys], _BUY, bought)]
    line = timeline(np.full(n, _VIEW, dtype=np.int8), ts, follows)
    item = item[line.source]
    seller = products.host[item]
    columns = {
        Event.USER_ID: coded(who[line.source], keys.users),
        Event.ACTION: coded(line.action, _SHOP_ACTIONS),
        Event.ITEM_ID: coded(item, keys.products),
        Event.HOST_ID: coded(seller, keys.hosts, null=seller < 0),
        Event.VALUE: pa.array(products.price[item], mask=line.action != _BUY),
    }
    return event_table(crowd.spec, ECOMMERCE, crowd.day, line, columns)


def search(crowd: Crowd, keys: Keys) -> pa.Table:
    """Clicks on hosts, videos and products after a query; ``host_id`` where the item is a host or a video."""
    rng = crowd.spec.chance(Stream.SEARCH, crowd.day)
    people, known_hosts, known_videos = crowd.people, len(keys.hosts), len(keys.videos)
    rate = SEARCH_RATE * people.users.intensity[crowd.present] ** 0.8 * people.users.searches[crowd.present]
    who, _ = crowd.visits(rng, rate)
    n = len(who)
    topic = crowd.topic(rng, who)
    kind = rng.choice(3, size=n, p=(0.4, 0.3, 0.3)).astype(np.int8)
    item, u, stray = np.empty(n, dtype=np.int32), rng.random(n), rng.random(n) < STRAY / 2
    for code, shelf in enumerate((crowd.hosts, crowd.videos, crowd.products)):
        mine = kind == code
        item[mine] = shelf.draw(topic[mine], u[mine], stray[mine])
    host = np.where(kind == 0, item, people.videos.host[np.where(kind == 1, item, 0)])
    intent = rng.integers(0, INTENTS, n)

    line = timeline(np.zeros(n, dtype=np.int8), crowd.clock(rng, who), ())
    source = line.source
    kind = kind[source]
    # The three kinds of key share one dictionary: hosts first, then videos, then products.
    offset = np.array([0, known_hosts, known_hosts + known_videos], dtype=np.int32)[kind]
    columns = {
        Event.USER_ID: coded(who[source], keys.users),
        Event.ACTION: coded(line.action, _SEARCH_ACTIONS),
        Event.QUERY: coded((topic * INTENTS + intent).astype(np.int32)[source], keys.queries),
        Event.ITEM_TYPE: coded(kind, _ITEM_TYPES),
        Event.ITEM_ID: coded(item[source] + offset, pa.concat_arrays([keys.hosts, keys.videos, keys.products])),
        Event.HOST_ID: coded(host[source], keys.hosts, null=kind == 2),
    }
    return event_table(crowd.spec, SEARCH, crowd.day, line, columns)
