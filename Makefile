# make demo: sample logs → three releases → a lookup. make test: everything that CI runs.
# Both make .venv by themselves from constraints.txt.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --quiet --constraint constraints.txt

.DEFAULT_GOAL := help
.PHONY: help demo test lint types tools clean airflow airflow-stop

help: ## these lines
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST)

demo: tools .venv/.demo ## sample logs, three days, a lookup and a table of quality
	@rm -rf demo
	@$(BIN)/graphrep demo --out demo

# Two processes: a thread that waits must not keep the other process's core busy.
test: tools .venv/.test .venv/.feast lint types ## everything that CI runs
	OMP_WAIT_POLICY=PASSIVE $(BIN)/pytest --numprocesses 2 --dist loadfile --cov --cov-report= --durations 10
	@echo "$$($(BIN)/coverage report --format=total) % of graphrep/ covered, branches too"

airflow: tools .venv/.airflow ## Airflow on the loopback, with the DAGs, sample logs and a first release
	@.ci/airflow start

airflow-stop: ## its end
	@.ci/airflow stop

lint: .venv/.test ## ruff
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/.test ## mypy
	$(BIN)/mypy

clean: airflow-stop ## what make made
	rm -rf .venv demo .airflow .coverage .mypy_cache .pytest_cache .ruff_cache .hypothesis *.egg-info

tools:
	@.ci/check_tools $(PYTHON)

# torch comes first and by its exact version: a range would pick the newest, which may be a CUDA build of gigabytes.
.venv/.demo: pyproject.toml constraints.txt
	@.ci/check_tools $(PYTHON)
	@echo "installing into .venv from constraints.txt: 2 GB, some minutes the first time"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(PIP) torch==2.13.0
	@$(PIP) --editable ".[spark,train]"
	@touch $@

.venv/.airflow: .venv/.demo
	@echo "installing Airflow"
	@$(PIP) --editable ".[spark,train,airflow,postgres]"
	@touch $@

.venv/.test: .venv/.demo
	@echo "installing what the tests need: Airflow, Iceberg, LightGBM, Redis's and S3's clients, pytest, ruff, mypy"
	@$(PIP) --editable ".[spark,train,uplift,s3,iceberg,postgres,redis,index,airflow,openlineage,dev]"
	@$(PIP) --no-deps apache-airflow-providers-apache-spark grpcio-status
	@touch $@

# Feast wants older packages than Airflow does, so it gets a place of its own.
.venv/.feast: .venv/.demo constraints-feast.txt
	@echo "installing Feast, which the tests read an export with, into .venv/feast"
	@$(PYTHON) -m venv .venv/feast
	@.venv/feast/bin/python -m pip --disable-pip-version-check install --quiet --quiet --constraint constraints-feast.txt feast
	@touch $@
