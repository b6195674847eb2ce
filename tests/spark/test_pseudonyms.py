"""With pseudonyms no file of a warehouse and no line of a run holds an id of the logs, and all else works as before."""

from __future__ import annotations

import hashlib
import hmac
import json
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from graphrep.cli import main
from graphrep.config import LogTable, load_config
from graphrep.contracts import LOG_EVENT
from graphrep.contracts.pseudonyms import is_pseudonym, pads
from graphrep.errors import ConfigError, InputError
from graphrep.logs import normalise, pseudonymise
from graphrep.logs.normalise import CORRUPT, ROW
from graphrep.lookup import open_release, pseudonym
from graphrep.pipeline.erase import erase
from graphrep.pipeline.run import run_stage
from graphrep.store import pseudonyms as store
from graphrep.store import tables
from tests.conftest import good_day

SECRET, VARIABLE = "the secret of these tests", "GRAPHREP_TEST_SECRET"
DS = "2026-03-02"
WHO = [f"zarathustra-{i}@example" for i in range(6)]
ODD = 'süß 👩 "x", y'


def expected(key: str, secret: str = SECRET) -> str:
    return "p_" + hmac.new(secret.encode(), key.encode(), hashlib.sha256).hexdigest()[:32]


def test_a_pseudonym_is_the_keyed_hash_that_others_can_make_too() -> None:
    for key in ("u1", "", ODD, "x" * 1000):
        for secret in ("k" * 16, "k" * 64, "k" * 65, "schlüssel " * 9):
            assert pseudonym(key, secret) == pseudonym(key, secret.encode()) == expected(key, secret)
            assert is_pseudonym(pseudonym(key, secret))
    assert not is_pseudonym("u1")
    assert [len(pad) for pad in pads("k" * 200)] == [64, 64]


@pytest.mark.parametrize("secret", ["k" * 16, "schlüssel " * 9])
def test_spark_makes_the_same_without_the_secret_in_its_plans(spark: Any, secret: str) -> None:
    keys = ["u1", ODD, "x" * 1000, None]
    rows = [(key, "watch", "live", 1, f"{key}-17") for key in keys]
    raw = spark.createDataFrame(rows, "user_id string, action string, domain string, ts long, event_id string")
    table = LogTable(path="t", format="parquet", partitioned=True, required=True, marker=None, columns={})
    made = pseudonymise(normalise(raw, "live", table, CORRUPT, max_key_bytes=512), table, ["user_id"], secret)
    found = {row.user_id: row.event_id for row in made.collect()}
    assert found == {key and expected(key, secret): f"live:{expected(f'{key}-17', secret)}" for key in keys}
    plans = made._jdf.queryExecution().toString() + made._jdf.queryExecution().executedPlan().toJSON()
    for hidden in (secret.encode(), *pads(secret)):
        for form in (
            hidden.hex(),
            hidden.decode("latin-1"),
            str(list(hidden)),
            str([b - 256 * (b > 127) for b in hidden]),
        ):
            assert form.lower() not in plans.lower()


def test_of_a_raw_row_only_what_the_contract_reads_is_kept(spark: Any) -> None:
    raw = spark.createDataFrame(
        [("ann", "watch", 1, "ann's phone", 7, None), ("bob", None, None, None, None, "line of bob")],
        f"uid string, action string, ts long, device string, viewer long, {CORRUPT} string",
    )
    columns = {"user_id": "uid", "host_id": "viewer", "domain": {"value": "live"}}
    table = LogTable(path="t", format="jsonl", partitioned=True, required=True, marker=None, columns=columns)
    made = pseudonymise(normalise(raw, "t", table, CORRUPT, max_key_bytes=512), table, ["user_id", "host_id"], SECRET)
    kept = [row[ROW].asDict() for row in made.collect()]
    assert kept == [
        {"uid": expected("ann"), "action": "watch", "ts": 1, "viewer": expected("7")},
        {"uid": None, "action": None, "ts": None, "viewer": None},
    ]


def with_pseudonyms(settings: dict[str, Any]) -> None:
    settings["logs"].update(max_quarantine_share=0.5, pseudonyms={"columns": ["user_id"], "key_env": VARIABLE})
    settings["logs"]["tables"]["shop"]["format"] = "jsonl"


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory, new_place: Any) -> Any:
    """A published day of users with long names, through the command; rows of theirs are refused in several ways."""
    place = new_place(tmp_path_factory.mktemp("pseudonyms"))
    place.configure(with_pseudonyms)
    for ds in ("2026-02-28", "2026-03-01", DS):
        day = good_day(ds)
        for rows in day.values():
            for i, row in enumerate(rows):
                row.update(user_id=WHO[i], event_id=f"{WHO[i]}-{ds}", device=f"phone of {WHO[i]}")
        first = day["videos"][0]
        day["videos"].append({**first, "event_id": "bad", "duration": -1.0})
        day["videos"].append({**first, "event_id": "long", "user_id": WHO[0] * 50})
        for table in ("videos", "live"):
            place.deliver(table, ds, day[table])
        shop = place.logs / "shop" / f"ds={ds}"
        shop.mkdir(parents=True)
        lines = [json.dumps(row) for row in day["shop"]]
        (shop / "part-0.jsonl").write_text("\n".join([*lines, lines[0][:-9]]) + "\n")
    return place


def command(place: Any, *given: str) -> list[str]:
    return ["graphrep", *given, "--config", str(place.config), "--warehouse", str(place.warehouse)]


def holders(warehouse: Path, words: list[str]) -> set[str]:
    """Files whose bytes or values hold one of the words: Parquet decompressed, all else as it lies."""
    found = set()
    for file in warehouse.rglob("*"):
        if file.is_file():
            content = file.read_bytes()
            if file.suffix == ".parquet":
                content += json.dumps(pq.read_table(file).to_pylist(), ensure_ascii=False).encode()
            if any(word.encode() in content for word in words):
                found.add(str(file.relative_to(warehouse)))
    return found


def test_a_day_leaves_no_id_and_no_secret_anywhere(
    ran: Any, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(VARIABLE, SECRET)
    monkeypatch.setattr(sys, "argv", [*command(ran, "run", "--ds", DS), "--logs", str(ran.logs)])
    main()
    told = "".join(capfd.readouterr())
    assert "publish" in told
    assert "zarathustra" not in told
    assert SECRET not in told
    refused = tables.read_table(tables.partition(ran.warehouse, tables.QUARANTINE, DS))
    assert set(refused["reason"].to_pylist()) == {"negative_duration", "too_long_user_id", "corrupt_row"}
    assert expected(WHO[0]) in refused["row"].to_pylist()[0] + refused["row"].to_pylist()[1]
    assert not holders(ran.warehouse, ["zarathustra", SECRET, "@example"])
    assert holders(ran.warehouse, [expected(WHO[1])]), "the scan sees what is there"
    events = tables.read_table(tables.partition(ran.warehouse, tables.EVENTS, DS))
    assert events.schema.names == LOG_EVENT.names
    assert set(events["user_id"].to_pylist()) == set(map(expected, WHO))
    release = open_release(ran.warehouse)
    assert release.get("user", [pseudonym(WHO[0], SECRET), WHO[0]]).found.tolist() == [True, False]
    assert release.get("host", ["h0"]).found.all(), "other ids stay"

    monkeypatch.setattr(sys, "argv", command(ran, "lookup", "user", WHO[0], "--pseudonym-key-env", VARIABLE, "--json"))
    main()
    (entry,) = json.loads(capfd.readouterr().out)["keys"]
    assert entry["found"]

    monkeypatch.setenv(VARIABLE, SECRET + "!")
    for given in (["lookup", "user", WHO[0], "--pseudonym-key-env", VARIABLE], ["run", "--ds", DS]):
        logs = ["--logs", str(ran.logs)] if given[0] == "run" else []
        monkeypatch.setattr(sys, "argv", [*command(ran, *given), *logs])
        with pytest.raises(SystemExit) as left:
            main()
        assert left.value.code == 2
        (line,) = capfd.readouterr().err.strip().splitlines()
        assert "expected the secret that the pseudonyms were made with, found another" in line
        assert SECRET not in line

    monkeypatch.setenv(VARIABLE, SECRET)
    keys = ran.root / "gone.txt"
    keys.write_text(f"{WHO[0]}\n{expected(WHO[1])}\n", encoding="utf-8")
    monkeypatch.setattr(sys, "argv", [*command(ran, "erase", "--keys", str(keys)), "--json"])
    main()
    record = json.loads(capfd.readouterr().out)
    assert (record["keys"], record["dictionary"]) == ({"user": 2}, 2)
    again = erase(ran.run(), {"user": [WHO[0], expected(WHO[0])]}, at=ran.at)
    assert (again["keys"], again["remembered"]) == ({"user": 1}, 0)
    assert not holders(ran.warehouse, [expected(WHO[0]), expected(WHO[1])])


def test_a_warehouse_stays_what_it_was_begun_as(place: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    place.warehouse.mkdir()
    place.configure(with_pseudonyms)
    monkeypatch.delenv(VARIABLE, raising=False)
    with pytest.raises(InputError, match=rf"in an environment variable, found none \[{VARIABLE}\]"):
        run_stage(place.run(), "logs", DS, at=place.at)
    monkeypatch.setenv(VARIABLE, "short")
    with pytest.raises(InputError, match="a secret of at least 16 bytes, found a shorter one"):
        run_stage(place.run(), "logs", DS, at=place.at)
    assert not (place.warehouse / store.FILE).exists()
    (place.warehouse / tables.IDS).mkdir()
    with pytest.raises(InputError, match="a new warehouse for pseudonyms, found one with keys"):
        store.begin(place.warehouse, SECRET, ["user_id"])
    with pytest.raises(InputError, match="a warehouse with pseudonyms, found one without"):
        store.check_reader(place.warehouse, SECRET)
    (place.warehouse / tables.IDS).rmdir()
    store.begin(place.warehouse, SECRET, ["user_id"])
    store.begin(place.warehouse, SECRET, ["user_id"])
    store.check_reader(place.warehouse, SECRET)
    for secret, columns, message in [
        (None, [], r"pseudonyms of \['user_id'\], found none"),
        (SECRET, ["user_id", "host_id"], r"pseudonyms of \['user_id'\], found \['host_id', 'user_id'\]"),
        (SECRET + "!", ["user_id"], "the secret that the pseudonyms were made with, found another"),
    ]:
        with pytest.raises(InputError, match=message):
            store.begin(place.warehouse, secret, columns)


def test_vectors_of_items_are_no_place_for_pseudonyms(place: Any) -> None:
    def change(settings: dict[str, Any]) -> None:
        with_pseudonyms(settings)
        settings["item_vectors"] = {"user": {"path": "p", "partitioned": True, "key": "k", "vector": "v"}}

    place.configure(change)
    with pytest.raises(ConfigError, match="expected keys that are no pseudonyms, found those of user_id"):
        load_config(place.config)
