"""What OpenLineage is told of a task: the assets that it read and made, their version, and how the day was judged.

Imported by the provider's listener alone, where it is installed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from airflow.providers.openlineage.extractors import OperatorLineage
from airflow.sdk import Asset
from openlineage.client.event_v2 import InputDataset, OutputDataset
from openlineage.client.facet_v2 import data_quality_assertions_dataset, dataset_version_dataset

from graphrep.schedule import MADE_FROM, VERDICT_ASSET

NAMESPACE = "graphrep"
"""Of the data sets; those of one warehouse are told apart by the namespace of the jobs, which Airflow sets."""


def facets(outlets: Iterable[Any], lineage: Mapping[str, str]) -> Any:
    """The data sets of a task that is done.

    Args:
        outlets: what the task updates; what they are made from are its inputs.
        lineage: what ``graphrep lineage`` said. The version of a release is its id, that of others the sha256 of the
            run manifest; the verdict is a data quality assertion about what was judged.
    """
    made = [outlet.name for outlet in outlets if isinstance(outlet, Asset)]
    read = dict.fromkeys(name for asset in made for name in MADE_FROM.get(asset, ()))
    colour = lineage.get("gate") if VERDICT_ASSET in made else None
    return OperatorLineage(
        inputs=[InputDataset(NAMESPACE, name, inputFacets=_judged(colour)) for name in read],
        outputs=[OutputDataset(NAMESPACE, name, facets=_version(lineage)) for name in made],
    )


def _judged(colour: str | None) -> dict[str, Any]:
    if colour is None:
        return {}
    verdict = data_quality_assertions_dataset.Assertion(assertion=f"gates: {colour}", success=colour == "green")
    return {"dataQualityAssertions": data_quality_assertions_dataset.DataQualityAssertionsDatasetFacet([verdict])}


def _version(lineage: Mapping[str, str]) -> dict[str, Any]:
    found = lineage.get("release_id") or lineage.get("run_manifest_sha256")
    return {"version": dataset_version_dataset.DatasetVersionDatasetFacet(found)} if found else {}
