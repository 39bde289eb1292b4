# The one door to the project; CI calls the same targets. Each sets the machine up first if that is needed.

SHELL := /bin/sh
.DEFAULT_GOAL := help
BIN := .venv/bin
DATA := $(or $(PANIER_DATA),.panier)
# What takes longest to test comes first.
PACKAGES := services/sender services/ingest services/checkout libs/common proof services/sales cli simulator \
	services/catalog services/console services/cart bench libs/payments
MODULES := $(foreach package,$(PACKAGES),$(subst /,,$(notdir $(wildcard $(package)/src/panier_*))))
# Stories of the whole stack that take a minute and more each: a group of their own, so that groups take equally long.
LONG := $(addprefix tests/integration/test_,crashes.py backup.py erasure.py upgrade.py)
PROOF_TEST := tests/integration/test_proof.py
STORIES := $(filter-out $(LONG) $(PROOF_TEST),$(wildcard tests/integration/test_*.py))
# What `make proof` plays; PROOF takes any other option of `python -m panier_proof`.
CUSTOMERS ?= 100
FAULTS ?= 10
MINUTES ?= 3
SEED ?= 1

.PHONY: help setup run demo test check static structure generate bench proof proof-bites proof-simulated proof-bites-simulated storm kills fuzz tracing-cost growth cluster audit clean-data

help: ## list these commands
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | while IFS="$$(printf '\t')" read -r name text; do \
		printf '  make %-21s %s\n' "$$name" "$$text"; done

setup: ## install what is locked into .venv (the other commands do it by themselves)
	@python3 cli/bootstrap.py

run: ## start the whole stack and run it until Ctrl-C; the data is kept
	@exec ./panier up

demo: setup ## start the stack, play one purchase through it, show the chat, its trace and the sale
	@exec ./panier demo

test: setup ## run every test but those of `make check`
	@# A group of stories, which wait, beside one that computes. With three at a time a run took two minutes less, and
	@# one test failed in one of two runs; why is not known.
	@$(BIN)/python tests/groups.py "stack or browser:$(LONG)" $(firstword $(PACKAGES)) "stack or browser:$(STORIES)" \
		$(wordlist 2,4,$(PACKAGES)) "stack:$(PROOF_TEST)" "stack or browser:tests/deploy bench simulator" \
		$(wordlist 5,99,$(PACKAGES)) tests/integration

check: static structure ## formatting, lint, types, architecture, manifests, generated files (-j2: side by side)

static: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy $(addprefix -p ,$(MODULES))
	MYPYPATH=cli $(BIN)/mypy cli/bootstrap.py cli/audit.py
	MYPYPATH=deploy/generator $(BIN)/mypy deploy/generator/*.py deploy/refuse_tags.py
	$(BIN)/lint-imports
	@for package in $(PACKAGES); do (cd $$package && echo "deptry $$package" && $(CURDIR)/$(BIN)/deptry src) || exit 1; done

structure: setup
	$(BIN)/pytest -q tests/architecture tests/deploy -m "not stack"

generate: setup ## write what is generated from the code: schemas, AsyncAPI, docs/*.md
	$(BIN)/python docs/generate.py

bench: setup ## run the benchmarks; prints a table and writes bench/results
	$(BIN)/python -m panier_bench

proof: setup ## the fault proof: customers shop while things break, checked against their own ledger
	$(BIN)/python -m panier_proof --customers $(CUSTOMERS) --faults $(FAULTS) --minutes $(MINUTES) --seed $(SEED) $(PROOF)

proof-bites: setup ## the proof with guarantees switched off one at a time: each must make it fail
	$(BIN)/python -m panier_proof.bites

proof-simulated: setup ## the proof on simulated engines, by seeds
	$(BIN)/python -m panier_proof.simulated --seeds 3 --customers 60 --faults 10 --seconds 15

proof-bites-simulated: setup ## faults planted in the code one at a time, judged by the simulated proof
	$(BIN)/python -m panier_proof.simulated.bites $(BITES)

storm: setup ## ten minutes of 500 messages a second through the sender, all faults of the simulator on
	$(BIN)/python -m panier_bench.storm $(STORM)

kills: setup ## how often a message is sent twice over 100 kills of the sender
	$(BIN)/pytest -s -q services/sender/tests/kills.py

fuzz: setup ## ten minutes of broken webhooks through the translator
	PANIER_FUZZ_SECONDS=$(or $(SECONDS),600) $(BIN)/pytest -q services/ingest/tests/test_fuzz.py

tracing-cost: setup ## what tracing one action in ten costs the runner, in paired rounds
	$(BIN)/python -m panier_bench.tracing

growth: setup ## what a conversation, a message and an order leave on disk (three minutes)
	$(BIN)/python -m panier_bench.growth

cluster: setup ## the overlays on a real API server with kwok nodes (the first time builds it: 15 minutes)
	$(BIN)/pytest -v tests/deploy/cluster/on_a_cluster.py

audit: setup ## ask osv.dev for known holes in what is locked (not part of check: it turns red by itself)
	$(BIN)/python cli/audit.py

clean-data: ## forget the local stack's data
	rm -rf -- "$(DATA)"
