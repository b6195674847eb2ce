"""Spark's side of the store: the session, raw logs in, working tables in and out."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import types as T

from graphrep.config import LogTable, Spark
from graphrep.contracts import Contract
from graphrep.contracts.spark import select_contract, spark_schema
from graphrep.errors import InputError, StoreError
from graphrep.store.files import staged_directory
from graphrep.store.java import java_version
from graphrep.store.raw import data_files

CORRUPT = "_corrupt_record"
UNREADABLE = re.compile(r"FAILED_READ_FILE\S* Encountered error while reading file (\S+)\.\s")
LOGGING = Path(__file__).with_name("log4j2.properties").resolve()


def session(config: Spark, name: str = "graphrep") -> SparkSession:
    """The running session, or a new one.

    Under ``spark-submit`` the cluster's own settings hold; only what the results depend on is set here.

    Raises:
        MachineError: no Java that Spark can run on.
    """
    java_version()
    # Python workers start with this interpreter, not with the first python3 on PATH.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    os.environ.setdefault("PYSPARK_DRIVER_PYTHON", sys.executable)
    builder = SparkSession.builder.appName(name).config("spark.sql.session.timeZone", "UTC")
    # Noting the Python line behind every column costs half of the time that it takes to plan a small day.
    builder = builder.config("spark.python.sql.dataFrameDebugging.enabled", "false")
    if "PYSPARK_GATEWAY_PORT" not in os.environ:
        builder = builder.master(config.master).config("spark.driver.memory", config.driver_memory)
        builder = builder.config("spark.sql.shuffle.partitions", config.shuffle_partitions)
        builder = builder.config("spark.ui.enabled", "false").config("spark.ui.showConsoleProgress", "false")
        builder = builder.config("spark.driver.extraJavaOptions", f"-Dlog4j2.configurationFile={LOGGING.as_uri()}")
        if config.master.startswith("local"):
            os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
            builder = builder.config("spark.driver.bindAddress", "127.0.0.1")
            builder = builder.config("spark.driver.host", "127.0.0.1")
    return builder.getOrCreate()


@contextlib.contextmanager
def spark_errors(where: str, *, given: bool = False) -> Iterator[None]:
    """Turn Spark's stack traces into one line that names the table and the day.

    Args:
        given: the files that are read were given to us, so that one that cannot be read is bad input.
    """
    try:
        yield
    except PySparkException as error:
        raise StoreError("Spark to finish", found=_first_line(str(error)), where=where) from error
    except Py4JJavaError as error:
        found = _first_line(_root_cause(error))
        if given and (file := UNREADABLE.search(str(error))):
            raise InputError("readable files", found=found, where=f"{where}, {file[1]}") from error
        raise StoreError("Spark to finish", found=found, where=where) from error


def _root_cause(error: Py4JJavaError) -> str:
    """The innermost message, without the name of its Java class."""
    cause = error.java_exception
    while cause.getCause() is not None:
        cause = cause.getCause()
    return str(cause.getMessage() or cause.toString())


def _first_line(text: str) -> str:
    return next((line.strip() for line in text.splitlines() if line.strip()), "an error without words")[:300]


def read_raw(spark: SparkSession, path: Path, table: LogTable) -> DataFrame:
    """Read raw rows as they are; CSV and JSON values come as strings, unreadable rows keep ``_corrupt_record``.

    Raises:
        InputError: the files cannot be opened as the configured format, or their headers differ.
    """
    files = [str(file) for file in data_files(path, table)]
    where = f"{path} as {table.format}"
    try:
        if table.format == "parquet":
            return spark.read.option("mergeSchema", True).parquet(*files)
        if table.format == "csv":
            return _read_csv(spark, files)
        return _read_json_lines(spark, files)
    except PySparkException as error:
        raise InputError("readable files", found=_first_line(str(error)), where=where) from error
    except Py4JJavaError as error:
        raise InputError("readable files", found=_first_line(_root_cause(error)), where=where) from error


def _read_csv(spark: SparkSession, files: list[str]) -> DataFrame:
    # Quotes inside a quoted field are doubled (RFC 4180), which is not how Spark writes and reads them by default.
    first = spark.read.option("header", True).option("escape", '"').csv(files[0])
    fields = [T.StructField(name, T.StringType()) for name in first.columns]
    reader = spark.read.schema(T.StructType([*fields, T.StructField(CORRUPT, T.StringType())]))
    reader = reader.option("header", True).option("enforceSchema", False).option("escape", '"')
    return reader.option("columnNameOfCorruptRecord", CORRUPT).csv(files)


def _read_json_lines(spark: SparkSession, files: list[str]) -> DataFrame:
    guess = spark.read.option("primitivesAsString", True).json(files).schema
    fields = [field for field in guess.fields if field.name != CORRUPT]
    reader = spark.read.schema(T.StructType([*fields, T.StructField(CORRUPT, T.StringType())]))
    return reader.option("columnNameOfCorruptRecord", CORRUPT).json(files)


def read_frames(spark: SparkSession, paths: list[Path], contract: Contract) -> DataFrame:
    """Read finished partitions of a working table by its contract; none gives an empty frame."""
    if not paths:
        return spark.createDataFrame([], spark_schema(contract))
    missing = [str(path) for path in paths if not path.is_dir()]
    if missing:
        raise StoreError(f"the table {contract.name}", found="nothing", where=missing[0], fix="run its stage first")
    return spark.read.schema(spark_schema(contract)).parquet(*[str(path) for path in paths])


def write_frame(frame: DataFrame, path: Path, contract: Contract, *, partition_by: str | None = None) -> None:
    """Write a frame as a directory that appears whole, in the contract's columns.

    Args:
        partition_by: a column beside the contract's that becomes one directory per value.
    """
    frame = select_contract(frame, contract, beside=partition_by)
    with staged_directory(path) as staging:
        writer = frame.write.option("compression", "zstd").option("parquet.page.write-checksum.enabled", "true")
        if partition_by is not None:
            writer = writer.partitionBy(partition_by)
        with spark_errors(f"writing {path}"):
            writer.mode("overwrite").parquet(str(staging))
