PYTHON ?= python3
VENV = .venv
TRAINING = .venv-training
CLIENTS = .venv-clients
LOCK = $(VENV)/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
    --no-annotate --custom-compile-command "make lock"

E2E_smoke = tests/e2e/test_smoke.py
E2E_install = tests/e2e/test_install.py tests/e2e/test_more_nodes.py
E2E_faults = tests/e2e/test_faults.py
E2E_operation = tests/e2e/test_operation.py tests/e2e/test_skaffold.py
E2E_docs = tests/e2e/test_docs.py tests/e2e/test_external.py
E2E_all = tests/e2e

.PHONY: help run test lint bench pages screenshots cassandra clients images rendered e2e train lock clean

help: ## list these targets
	@sed -n 's/^\([a-z0-9]*\):.*## /\1\t/p' $(MAKEFILE_LIST)

run: $(VENV)/serving ## serve on 127.0.0.1:8080, with SQLite and the bundled model
	$(VENV)/bin/python -m lookbook serve

test: $(VENV)/testing ## run the tests; those on Cassandra skip where none runs
	$(VENV)/bin/python -m pytest

lint: $(VENV)/testing ## ruff and mypy
	$(VENV)/bin/ruff check . && $(VENV)/bin/ruff format --check . && $(VENV)/bin/mypy

cassandra: ## start a Cassandra for the tests and benchmarks, in Docker on 127.0.0.1:9042
	tests/support/cassandra

clients: $(CLIENTS)/clients ## install the public clients of /v2, for the tests

bench: $(VENV)/testing ## measure requests, CPU time and memory (wants wrk)
	$(VENV)/bin/python -m benchmarks.bench

pages: $(VENV)/testing ## measure the cost of a page at 1,000 and at 1,000,000 rows
	$(VENV)/bin/python -m benchmarks.pages

screenshots: $(VENV)/testing ## take the README's pictures of the page anew (wants chromium, fonts-inter and fonts-urw-base35)
	$(VENV)/bin/python -m tools.screenshots

images: ## build the two images
	docker build --tag lookbook:0.1.0 .
	docker build --tag lookbook-model-init:0.1.0 --file model-init/Dockerfile .

rendered: ## render the chart's defaults into k8s/rendered.yaml
	helm template lookbook charts/lookbook > k8s/rendered.yaml

e2e: $(VENV)/testing ## test on the cluster that kubectl points to, images loaded; E2E=smoke|install|faults|operation|docs
	E2E=$(or $(E2E),all) $(VENV)/bin/python -m pytest --verbose $(or $(E2E_$(or $(E2E),all)),$(error E2E is one of smoke, install, faults, operation, docs))

train: $(TRAINING)/training ## train and write the bundles: make train FASHION=DIR PHOTOS=DIR
	training/train "$(TRAINING)/bin/python" "$(FASHION)" "$(PHOTOS)"

lock: $(VENV)/testing ## renew the locked requirements from pyproject.toml and requirements.in
	$(VENV)/bin/pip install --quiet uv
	for extra in "" dev training; do \
	    $(LOCK) $${extra:+--extra $$extra} pyproject.toml --output-file requirements$${extra:+-$$extra}.txt || exit 1; \
	done
	$(LOCK) model-init/requirements.in --constraint requirements-dev.txt --output-file model-init/requirements.txt
	$(LOCK) tests/support/clients.in --output-file requirements-clients.txt

clean: ## remove the environments
	rm -rf $(VENV) $(TRAINING) $(CLIENTS)

$(VENV)/serving: requirements.txt
$(VENV)/testing: requirements-dev.txt
$(TRAINING)/training: requirements-training.txt
$(CLIENTS)/clients: requirements-clients.txt

$(VENV)/serving $(VENV)/testing $(TRAINING)/training $(CLIENTS)/clients:
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/pip install --quiet --disable-pip-version-check --require-hashes --requirement $<
	$(if $(filter clients,$(@F)),,$(@D)/bin/pip install --quiet --disable-pip-version-check --no-deps --editable .)
	touch $@
