"""A job that says where the driver and the executors find graphrep, and whether the two are one."""

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

import graphrep


def place_of_import(_):
    import graphrep

    return graphrep.__file__


if __name__ == "__main__":
    spark = SparkSession.builder.getOrCreate()
    found = spark.range(0, 8, 1, 8).select(F.udf(place_of_import)("id").alias("file")).distinct().collect()
    print(graphrep.__file__, *[row.file for row in found])
