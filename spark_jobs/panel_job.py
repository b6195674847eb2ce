"""spark-submit spark_jobs/panel_job.py --config F --ds DAY: events → hosts and days that uplift is learnt from."""

from graphrep.pipeline.jobs import main

if __name__ == "__main__":
    main("panel")
