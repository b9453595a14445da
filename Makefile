# Everything is made on the first use: environments in .venvs/, servers in .servers/ (as root:
# /var/cache/refcache-servers). Nothing is needed but make and Python 3.11 or later.
#
#   make test PYTHON=python3.13 DJANGO=6.1       another Python, another Django
#   make test ARGS="-k rollback -x"              further arguments for the command

PYTHON ?= python3
DJANGO ?=
ARGS ?=
# Each process has servers of its own.
PARALLEL ?= --numprocesses auto --maxprocesses 4

RUN = $(PYTHON) -m tools.run
DEV = $(RUN) dev --django "$(DJANGO)"

.DEFAULT_GOAL := help
.PHONY: help demo serve example-real test test-full soak faults lint types docs bench clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: ## Show, in a minute, what refcache does (REDIS_URL and others: see docker-compose.yml)
	@$(RUN) demo -- python example/demo.py $(ARGS)

serve: ## Run the example shop on http://127.0.0.1:8000
	@$(RUN) demo -- python example/demo.py --data-only
	@$(RUN) demo -- python example/manage.py make_patterns
	@$(RUN) demo -- python example/manage.py runserver $(ARGS)

example-real: ## Load the example as in production for 60 s, and check it (ARGS="--seconds 10 --seed 7")
	@$(DEV) --servers -- python -m tests.real $(ARGS)

test: ## Run the tests, with servers of their own: Redis, two PostgreSQL, MariaDB
	@$(DEV) --servers -- python -m pytest $(PARALLEL) $(ARGS)

test-full: ## Run the tests that take minutes as well
	@REFCACHE_TEST_FULL=1 $(DEV) --servers -- python -m pytest $(PARALLEL) $(ARGS)

soak: ## Read, write and kill at random for 20 s (ARGS="--seed 7 --seconds 60 --database mariadb")
	@$(DEV) --servers -- python -m tests.soak $(ARGS)

faults: ## Stop, kill, cut and fill each server while there are reads (ARGS="--seed 7 --only Redis")
	@$(DEV) --servers -- python -m tests.faults $(ARGS)

lint: ## Check style and format
	@$(DEV) -- ruff check
	@$(DEV) -- ruff format --check

types: ## Check types
	@$(DEV) -- mypy

docs: ## Build the documentation in docs/_build/html
	@$(RUN) docs -- sphinx-build --fail-on-warning --keep-going docs docs/_build/html

bench: ## Measure, with servers of its own
	@$(DEV) --servers -- python -m benchmarks $(ARGS)

clean: ## Remove all that make has made
	@$(PYTHON) -m tools.clean
