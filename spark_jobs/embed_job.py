"""spark-submit spark_jobs/embed_job.py --config F --ds DAY --processes N [--local] [--gpu]: the day's graph → vectors.

pyspark's TorchDistributor starts the processes: in Spark's tasks, or with --local on the driver. graphrep has to be
installed where they run.
"""

from graphrep.pipeline.jobs import embed

if __name__ == "__main__":
    embed()
