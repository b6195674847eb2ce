"""Scores of many hosts by Spark: each worker reads the fitted model from its text and scores parts of the panel."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from graphrep.contracts.spark import spark_schema
from graphrep.contracts.uplift import PANEL
from graphrep.contracts.uplift_scores import SCORES, Score
from graphrep.pipeline.uplift_scores import NEEDED, Stamp, score_rows

_RANK, _TIES, _ROWS = "_rank", "_ties", "_rows"


def score_by_spark(hosts: DataFrame, text: str, stamp: Stamp) -> DataFrame:
    """``golive_uplift_v1`` of hosts by one scorer, ranks included, as ``score_rows`` and ``with_ranks`` make them here.

    Args:
        hosts: of the panel, the day and the kind of treatment that are scored.
        text: of the scorer.
    """
    schema = pa.schema([PANEL.schema.field(name) for name in NEEDED])

    def score(batches: Iterator[Any]) -> Iterator[Any]:
        from graphrep.uplift.scoring import Scorer

        scorer = Scorer.from_text(text)
        for batch in batches:
            rows = pa.Table.from_pandas(batch, schema=schema, preserve_index=False)
            yield score_rows(scorer, rows, stamp).to_pandas()

    scored = hosts.select(*NEEDED).mapInPandas(score, spark_schema(SCORES))
    return _ranked(scored)


def _ranked(scores: DataFrame) -> DataFrame:
    """Each row with its rank within its arm: the share with a smaller effect, and half of those with the same."""
    arm = Window.partitionBy(Score.TREATMENT)
    by_effect = arm.orderBy(Score.UPLIFT)
    counted = scores.withColumns(
        {
            _RANK: F.rank().over(by_effect) - 1,
            _TIES: F.count(F.lit(1)).over(Window.partitionBy(Score.TREATMENT, Score.UPLIFT)),
            _ROWS: F.count(F.lit(1)).over(arm),
        }
    )
    share = (2 * F.col(_RANK) + F.col(_TIES)) / (2.0 * F.col(_ROWS))
    return counted.withColumn(Score.RANK_PCT, share).select(*SCORES.names)
