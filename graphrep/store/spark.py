"""Spark's side of the store: the session, raw logs in, working tables in and out."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq
from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.java_gateway import launch_gateway
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from graphrep.config import LogTable, Spark
from graphrep.contracts import Contract
from graphrep.contracts.spark import select_contract, spark_schema
from graphrep.errors import InputError, StoreError
from graphrep.store.files import staged_directory
from graphrep.store.footers import sort_encodings
from graphrep.store.java import java_version
from graphrep.store.raw import data_files

CORRUPT = "_corrupt_record"
UNREADABLE = re.compile(r"FAILED_READ_FILE\S* Encountered error while reading file (\S+)\.\s")
DAY_OF_TABLE = re.compile(r"([^/]+)/ds=([^/]+)/")
DAY_OF_FILE = r"ds(?:=|%3D)(\d{4}-\d{2}-\d{2})/[^/]*$"
GLOB = re.compile(r"([{}\[\]*?\\])")
SPARK_NAME = re.compile(r"-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?:[.-]c000)?")
LOGGING = Path(__file__).with_name("log4j2.properties").resolve()


FIXED = {
    # Rows depend on these two: a data day is a UTC day, and an overflow or a bad cast fails instead of becoming null.
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",
    # The files depend on these; equal runs give equal bytes on any cluster. Merging partitions goes by sizes measured
    # at run time: rows shall lie where their hash says, in as many files as planned.
    "spark.sql.adaptive.coalescePartitions.enabled": "false",
    # It reads a shuffle by the tasks that wrote it, whose number is that of the cluster's cores.
    "spark.sql.adaptive.localShuffleReader.enabled": "false",
    "spark.sql.parquet.compression.codec": "zstd",
    # Files of a task are seen only once the job commits, so that a speculative copy or a killed task leaves nothing
    # behind; version 2 shows them when the task ends. The moves at the end are renames on one file system.
    "mapreduce.fileoutputcommitter.algorithm.version": "1",
    # A directory here is whole or absent, and needs no mark.
    "mapreduce.fileoutputcommitter.marksuccessfuljobs": "false",
    # A CRC-32 with each page, and a look at it when the page is read, which is off by default.
    "parquet.page.write-checksum.enabled": "true",
    "parquet.page.verify-checksum.enabled": "true",
}
"""Settings that results or their safety depend on, whatever the operator's ``--conf`` says."""

TUNED = {
    # Joins are chosen, and skew is cut, by the sizes that a run finds.
    "spark.sql.adaptive.enabled": "true",
    # Bytes of files that one task reads: some seconds of work and some hundred MB of rows.
    "spark.sql.files.maxPartitionBytes": "128m",
    # A hub's partition is joined by several tasks of 128 MB each once it holds 256 MB and three times the median:
    # below that a task more costs more than it saves. Spark's factor of 5 lets one task last five times the others.
    "spark.sql.adaptive.skewJoin.enabled": "true",
    "spark.sql.adaptive.skewJoin.skewedPartitionThresholdInBytes": "256m",
    "spark.sql.adaptive.skewJoin.skewedPartitionFactor": "3",
    "spark.sql.adaptive.advisoryPartitionSizeInBytes": "128m",
}
"""Settings that time and memory depend on: the operator's ``--conf`` wins over them, as over ``shuffle_partitions``."""


def session(config: Spark, name: str = "graphrep") -> SparkSession:
    """A session with the settings above, on the running Spark or a new one.

    Its settings are its own: two configurations in one process do not change each other's. Under ``spark-submit`` the
    master, the memory and the cores are the cluster's.

    Raises:
        MachineError: no Java that Spark can run on.
    """
    java_version()
    # Python workers start with this interpreter, not with the first python3 on PATH.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    os.environ.setdefault("PYSPARK_DRIVER_PYTHON", sys.executable)
    builder = SparkSession.builder.appName(name)
    # Noting the Python line behind every column costs half of the time that it takes to plan a small day.
    builder = builder.config("spark.python.sql.dataFrameDebugging.enabled", "false")
    if "PYSPARK_GATEWAY_PORT" not in os.environ:
        builder = builder.master(config.master).config("spark.driver.memory", config.driver_memory)
        builder = builder.config("spark.ui.enabled", "false").config("spark.ui.showConsoleProgress", "false")
        builder = builder.config("spark.driver.extraJavaOptions", f"-Dlog4j2.configurationFile={LOGGING.as_uri()}")
        if config.master.startswith("local"):
            os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
            builder = builder.config("spark.driver.bindAddress", "127.0.0.1")
            builder = builder.config("spark.driver.host", "127.0.0.1")
    opened = builder.getOrCreate().newSession()
    given = opened.sparkContext.getConf()
    tuned = {**TUNED, "spark.sql.shuffle.partitions": str(config.shuffle_partitions)}
    for key, value in {**{key: value for key, value in tuned.items() if not given.contains(key)}, **FIXED}.items():
        opened.conf.set(key, value)
    return opened


def complain(line: str) -> None:
    """Print a line to the standard error of ``spark-submit``, which sends that of its Python to its standard output."""
    if "PYSPARK_GATEWAY_PORT" in os.environ:
        # pyspark leaves this function untyped.
        launch_gateway().jvm.System.err.println(line)  # type: ignore[no-untyped-call]
    else:
        print(line, file=sys.stderr)


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
        unread = UNREADABLE.search(str(error))
        if unread is None:
            raise StoreError("Spark to finish", found=found, where=where) from error
        file = unquote(unread[1])
        if given:
            raise InputError("readable files", found=found, where=f"{where}, {file}") from error
        raise _damaged(file.removeprefix("file://"), found) from error


def _damaged(file: str, found: str) -> StoreError:
    day = DAY_OF_TABLE.search(file)
    table = f"{day[1]} of {day[2]}" if day else "/".join(Path(file).parts[-3:-1])
    return StoreError(f"whole files of {table}", found=found, where=file, fix="run the stage that writes them again")


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
    files = [_literal(file) for file in data_files(path, table)]
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


def read_frames(
    spark: SparkSession, paths: list[Path], contract: Contract, *, day_column: str | None = None
) -> DataFrame:
    """Read finished partitions of a working table by its contract; none gives an empty frame.

    Args:
        day_column: a column to add, with the day whose directory a row lies in.
    """
    if not paths:
        empty = spark_schema(contract)
        return spark.createDataFrame([], empty.add(day_column, "string") if day_column else empty)
    missing = [str(path) for path in paths if not path.is_dir()]
    if missing:
        raise StoreError(f"the table {contract.name}", found="nothing", where=missing[0], fix="run its stage first")
    for path in paths:
        _check_columns(path, contract)
    read = spark.read.schema(spark_schema(contract)).parquet(*[_literal(path) for path in paths])
    if day_column is None:
        return read
    return read.select("*", F.regexp_extract("_metadata.file_path", DAY_OF_FILE, 1).alias(day_column))


def _literal(path: Path) -> str:
    """A path that Spark takes as it is: braces, brackets, stars and question marks would be its patterns."""
    return GLOB.sub(r"\\\1", str(path))


def _check_columns(path: Path, contract: Contract) -> None:
    """A directory has one writer, so its first file speaks for all. Spark reads a column that is not there as null."""
    files = sorted(path.glob("*.parquet"))
    if not files:
        raise _damaged(f"{path}/", "no file")
    try:
        found = pq.read_schema(files[0])
    except (pa.ArrowInvalid, OSError) as error:
        raise _damaged(str(files[0]), _first_line(str(error))) from None
    for column in contract.columns:
        wanted = contract.schema.field(column.name).type
        if column.name in found.names:
            if found.field(column.name).type != wanted:
                raise _damaged(str(files[0]), f"{column.name} as {found.field(column.name).type}, not {wanted}")
        elif not column.nullable:
            raise _damaged(str(files[0]), f"no column {column.name}")


def write_frame(frame: DataFrame, path: Path, contract: Contract, *, partition_by: str | None = None) -> None:
    """Write a frame as a directory that appears whole, in the contract's columns; the same rows give the same bytes.

    One file for each partition of the frame that has rows, named by its number: the caller chooses the partitions, by
    hash. Inside a file the rows are in the order of the grain, then of the other columns.

    Args:
        partition_by: a column beside the contract's that becomes one directory per value.

    Raises:
        StoreError: Spark failed, a file that it read is damaged, or the place cannot be written.
    """
    beside = [partition_by] if partition_by else []
    order = dict.fromkeys([*beside, *contract.grain, *contract.names])
    ordered = select_contract(frame, contract, beside=partition_by).sortWithinPartitions(*order)
    with staged_directory(path) as staging:
        with spark_errors(f"writing {path}"):
            ordered.write.partitionBy(*beside).mode("overwrite").parquet(str(staging))
        _even_out(staging)


def _even_out(written: Path) -> None:
    """Take out what differs from run to run: the random id in files' names, the order of lists in their footers.

    The sums that Hadoop lays beside local files go; the pages have their own.
    """
    for file in [file for file in written.rglob("*") if file.is_file()]:
        if file.suffix == ".parquet":
            sort_encodings(file)
            file.rename(file.with_name(SPARK_NAME.sub("", file.name)))
        else:
            file.unlink()
