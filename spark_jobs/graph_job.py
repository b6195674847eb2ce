"""spark-submit spark_jobs/graph_job.py --config F --ds DAY: the window → ids, adjacency, active nodes."""

from graphrep.pipeline.jobs import main

if __name__ == "__main__":
    main("graph")
