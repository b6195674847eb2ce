"""graphrep: from behaviour logs to the embeddings that a livestream ranker looks up.

Rooms, in the order in which a day passes through them:

========== ====================================================================
contracts  every table as data; the only place where a column name is spelt
config     the frozen settings read from YAML
logs       raw rows -> checked events (Spark)
edges      events -> typed weighted edges of a day, then the decayed window (Spark)
graph      stable ids and adjacency (Spark); ``HeteroGraph`` (numpy)
embed      walks on the graph -> vectors
evaluate   metrics, baselines, the gate
store      the only room that opens a data file: tables, releases, run manifests
lookup     what a ranker imports: numpy only
datasets   sample logs with a planted truth; adapters for public logs
pipeline   one file per stage; the only room where the others meet
========== ====================================================================
"""

__version__ = "0.1.0"
