"""spark-submit spark_jobs/logs_job.py --config F --ds DAY: raw rows of one day → checked events."""

from graphrep.pipeline.jobs import main

if __name__ == "__main__":
    main("logs")
