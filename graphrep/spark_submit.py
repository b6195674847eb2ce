"""Spark stages by the operator of Airflow's Spark provider. Imported only where the settings ask for it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import chdir, contextmanager
from pathlib import Path
from typing import Any

from airflow.providers.apache.spark.operators.spark_submit import SparkSubmitOperator
from airflow.sdk import BaseHook, Context
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from graphrep.asking import tell_assets
from graphrep.schedule import FINAL_EXIT_CODES, Settings

_EXIT_CODE = re.compile(r"(?:Error code is: |exit code is: |exit_code=)(\d+)")
"""As the provider words it: of spark-submit, of a driver's pod as spark-submit logs it, of the pod itself."""


class SparkStageOperator(SparkSubmitOperator):  # type: ignore[misc]  # mypy reads no provider
    """A stage whose final exit codes fail the task at once, as those of ``CommandOperator`` do.

    Master, deploy mode and queue are those of Airflow's connection ``GRAPHREP_SPARK_CONN``. In client mode the exit
    code of the job is that of spark-submit, and a task that is tried again submits anew. In cluster mode on YARN and
    Kubernetes the provider keeps the id of the submission, and a task that is tried again joins the job that is still
    running; YARN then tells success from failure alone, so that bad input is tried again, too.

    Args:
        stage: names the job.
        words: the command, ``spark-submit [--master M] JOB ARGUMENTS``.
        settings: where it runs.
        told: what the assets of ``outlets`` are told beside the lineage of the day; templates.
    """

    template_fields = (*SparkSubmitOperator.template_fields, "told")

    def __init__(
        self, *, stage: str, words: Sequence[str], settings: Settings, told: Mapping[str, str], **kwargs: Any
    ) -> None:
        _, application, *arguments = words
        job = {"application": application, "application_args": arguments, "name": f"graphrep-{stage}"}
        super().__init__(conn_id=settings.spark_conn, **{**job, **kwargs})
        self.told, self.settings = dict(told), settings
        self.lineage: dict[str, str] = {}

    def execute(self, context: Context) -> None:
        connection = BaseHook.get_connection(self.settings.spark_conn)  # a missing one would count as YARN
        if connection.extra_dejson.get("deploy-mode") == "cluster":
            master = f"{connection.conn_type}://{connection.host}"
            self._yarn_track_via_rm_api = "yarn" in master
            self._track_driver_via_k8s_api = "k8s" in master
        try:
            with chdir(self.settings.home), _found_first(self.settings.bin):
                super().execute(context)
        except (AirflowException, RuntimeError) as error:
            said = str(error).partition("\n")[0]  # below it stands what the job printed last
            codes = {int(code) for code in _EXIT_CODE.findall(said)}
            if final := codes & set(FINAL_EXIT_CODES):
                reason = f"exit code {max(final)}: bad input (2) or a day that a gate refused (3); the log says which"
                raise AirflowFailException(f"{self.task_id}: {reason}. Not retried.") from error
            raise
        self.lineage = tell_assets(self.outlets, self.told, self.settings, context)

    def get_openlineage_facets_on_complete(self, _: Any) -> Any:
        """What the OpenLineage provider asks, where it is installed."""
        from graphrep.openlineage import facets

        return facets(self.outlets, self.lineage)


@contextmanager
def _found_first(place: Path | None) -> Iterator[None]:
    """A directory in front of PATH: there the provider finds spark-submit, and that the python of the job."""
    before = os.environ.get("PATH", os.defpath)
    if place:
        os.environ["PATH"] = f"{place}{os.pathsep}{before}"
    try:
        yield
    finally:
        os.environ["PATH"] = before
