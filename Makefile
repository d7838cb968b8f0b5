# Two commands: `make up` starts the fleet, `make test` proves it. `make` alone lists the rest.

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
ARGS :=
# Tests that take many more cases with --long, or have tests marked long_form, besides tests/faults.
LONG_FORMS := $(addprefix tests/bot/test_,close_kits.py doubled.py grid.py kill.py kits.py ledger.py nameless_kits.py price_sources.py quotes.py told_orders.py told_orders_kits.py told_spot.py unclear_kits.py unlike_venues.py) $(addprefix tests/web/test_,accessible.py page.py page_between.py schema.py) \
	$(addprefix tests/integration/test_,any_bot.py bench.py build_probe.py close.py conditions.py halt.py hosts.py image.py import.py main_job.py old_readers.py serve.py upgrade.py venues_live.py) \
	tests/reports/test_the_engine_was_asked_behind_our_back.py \
	$(addprefix tests/unit/,cli/test_plain_line.py monitor/history/test_curve.py monitor/watch/test_incremental.py ops/test_flows_slow.py supervisor/test_json_text.py)
# Most tests wait for an engine: more at once than there are cores (tests/scheduling.py).
WORKERS := $(shell echo $$(($$(nproc 2>/dev/null || echo 2) + 5)))
# What the tests build is then in the engine's cache. A tag of its own: a fleet that runs keeps its image while its code is tested.
TEST_IMAGE := botfleet-test-bot:checkout
# A user whom `make engine` has just added to the group docker need not log in again.
RUN := scripts/in-docker-group.sh

.DEFAULT_GOAL := help
.PHONY: help up down engine image page test tools faults fresh bench lint audit mutants lock messages clean

help: ## show this list
	@echo "make up: start the fleet    make test: prove that it works"
	@echo
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

up: $(VENV)/runtime.stamp $(VENV)/page.stamp engine image ## everything from nothing to a running fleet and its page; again: nothing to do
	@code=0; $(RUN) $(BIN)/manager up --wait || code=$$?; $(RUN) $(BIN)/manager ps || exit 1; echo; $(RUN) --hint; \
	  scripts/hints.sh $(BIN)/manager; echo; \
	  $(RUN) $(BIN)/manager serve --detach; exit $$code # of the fleet: a bot that fails keeps nobody from the page

down: $(VENV)/runtime.stamp ## end the page, stop the fleet and remove its containers; logs and databases stay
	@$(BIN)/manager serve stop
	@$(RUN) $(BIN)/manager down

engine: ## make sure that a Docker Engine answers; installs the distribution's where there is none
	@scripts/engine.sh

image: $(VENV)/runtime.stamp $(VENV)/page.stamp engine ## build the bot image, if what is in it changed
	@$(RUN) $(BIN)/manager build

page: $(VENV)/runtime.stamp ## get uPlot, which draws the charts of the fleet's page and the bots'; `make up` does, where it can
	@scripts/page.sh
	@touch $(VENV)/page.stamp

# Packages of Python and of the machine at once: on a fresh one, a third of a minute less.
test: $(VENV)/runtime.stamp $(VENV)/page.stamp ## all tests, on a real engine; ARGS="-k word" for some
	@$(MAKE) --no-print-directory --jobs=2 $(VENV)/compiled.stamp tools
	@$(RUN) $(BIN)/manager build --tag $(TEST_IMAGE)
	@$(RUN) $(BIN)/python -m pytest $(or $(ARGS),-n $(WORKERS))

tools:
	@scripts/engine.sh --with-compose
	@scripts/test-tools.sh $(TOOLS)

faults: TOOLS := --long
faults: $(VENV)/dev.stamp tools ## the long form: faults as often as tests/faults/README.md says, random cases by the thousand; an hour
	@$(RUN) $(BIN)/python -m pytest --long $(or $(ARGS),tests/faults $(LONG_FORMS))

fresh: ## try both commands on fresh machines, with a table; ROW=debian12-cli for one, ONLY=up without the tests
	@scripts/fresh.sh

bench: $(VENV)/dev.stamp ## measure, into bench/results.md; ARGS="--full" for everything, "--sizes 3 --rounds 1" for a look
	@scripts/engine.sh --with-compose
	@$(RUN) $(BIN)/python -m bench $(ARGS)

lint: $(VENV)/dev.stamp ## ruff and mypy
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy manager docker/supervisor docker/bot tests bench scripts/fresh

audit: ## look the locked packages up among known vulnerabilities
	@scripts/audit.sh .venv-audit

mutants: $(VENV)/dev.stamp ## plant faults and see that the tests notice; ARGS="execute alerts" for some; five minutes
	$(BIN)/python scripts/mutants.py $(ARGS)

lock: $(VENV)/dev.stamp ## pin again what pyproject.toml and the bundled bot ask for
	@scripts/lock.sh

messages: $(VENV)/dev.stamp ## bring the translation catalogues up to date with the source
	@$(BIN)/python scripts/messages.py

clean: ## remove the virtual environment and the tools' caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache *.egg-info

# A stamp says nothing of a folder that was moved, or of a Python that was upgraded.
ifneq ($(wildcard $(VENV)/*.stamp),)
  $(shell scripts/venv.sh --check $(VENV))
endif

# Each stamp is newer than the lock file it was installed from. The second holds the first one's packages too.
$(VENV)/runtime.stamp: requirements.lock pyproject.toml scripts/venv.sh
	@scripts/venv.sh $(VENV)
	@echo "installing the packages of requirements.lock into $(VENV)"
	@$(PIP) install --quiet --require-hashes -r requirements.lock
	@scripts/venv.sh --editable $(VENV)
	@$(BIN)/python -m compileall -q manager
	@touch $@

# Tried once for each lock file: a fleet comes up without it, too.
$(VENV)/page.stamp: scripts/page/package-lock.json scripts/page.sh $(VENV)/runtime.stamp
	@scripts/page.sh --optional
	@touch $@

$(VENV)/dev.stamp: requirements-dev.lock $(VENV)/runtime.stamp
	@echo "installing the packages of requirements-dev.lock into $(VENV)"
	@$(PIP) install --quiet --require-hashes -r requirements-dev.lock
	@touch $@

# Else each worker of the first `make test` compiles all tests for itself.
$(VENV)/compiled.stamp: $(VENV)/dev.stamp
	@$(BIN)/python -m pytest --collect-only -q tests/unit >/dev/null 2>&1 & \
	  $(BIN)/python -m pytest --collect-only -q tests --ignore tests/unit >/dev/null 2>&1; wait
	@touch $@
