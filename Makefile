# Everything sets itself up in .venv: Python 3.11+, make and a package index are all that is needed.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
# Most tests wait for processes and sockets: two of them share a core well.
JOBS ?= $(shell expr 2 '*' $$(getconf _NPROCESSORS_ONLN))

FAULTS ?= 60

.PHONY: demo test long check format contract lock bench chaos compat peers clean

# NETWORK=onebot for a QQ account behind an implementation of OneBot 11; BOT=nonebot for a bot of nonebot2.
demo:
	@$(PYTHON) .ci/venv.py sim
	@$(RUN) -m tests.demo $(if $(filter 0,$(ECHO)),--no-echo) $(if $(NETWORK),--network $(NETWORK)) $(if $(BOT),--bot $(BOT))

test:
	@$(PYTHON) .ci/venv.py dev
	@$(RUN) -m pytest -n $(JOBS) -rfEs $(ARGS)

check:
	@$(PYTHON) .ci/venv.py dev
	@$(RUN) -m ruff format --check .
	@$(RUN) -m ruff check .
	@$(RUN) -m mypy
	@$(VENV)/bin/lint-imports

contract:
	@$(PYTHON) .ci/venv.py dev
	@$(RUN) -m adapter.contract

# After a change of the dependencies or of a pin in constraints.txt.
lock:
	@$(PYTHON) .ci/lock.py

long:
	@$(PYTHON) .ci/venv.py dev
	@$(RUN) -m pytest -n $(JOBS) -m long -rfEs $(ARGS)

chaos: long
	@$(RUN) -m tests.chaos --faults $(FAULTS)

compat:
	@$(PYTHON) .ci/venv.py dev
	@$(RUN) -m tests.compat

# Clients of other projects against the servers of tests; PEERS=onebot for one network. They speak to
# loopback alone, from environments of their own.
peers:
	@$(PYTHON) .ci/venv.py sim
	@$(RUN) -m tests.peers $(PEERS)

# BENCH=name for one of them (`killed` runs only so), QUICK=1 to see in a minute whether it runs at all.
bench:
	@$(PYTHON) .ci/venv.py sim
	@$(RUN) -m tests.bench $(BENCH) $(if $(QUICK),--quick)

format:
	@$(PYTHON) .ci/venv.py dev
	@$(RUN) -m ruff format .
	@$(RUN) -m ruff check --fix .

clean:
	rm -rf $(VENV) .venv.lock .venv-peers .demo .mypy_cache .ruff_cache .hypothesis .import_linter_cache build dist *.egg-info
