"""spark-submit spark_jobs/edges_job.py --config F --ds DAY: events of one day → its edges and nodes."""

from graphrep.pipeline.jobs import main

if __name__ == "__main__":
    main("edges")
