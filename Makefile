# A placeholder until the project has a registry; nothing else repeats it (tests/unit/test_release.py).
REGISTRY = registry.lookbook-project.example

PYTHON ?= python3
VENV = .venv
TRAINING = .venv-training
CLIENTS = .venv-clients
DOCS = .venv-docs
PEERS = $(patsubst benchmarks/peers/requirements/%.in,%,$(wildcard benchmarks/peers/requirements/*.in))
CURRENT := $(shell sed -n 's/^__version__ = "\(.*\)"/\1/p' service/lookbook/__init__.py)
CASSANDRA := cassandra:$(shell sed -n '/repository: cassandra/{n;s/.*tag: //p}' charts/lookbook/values.yaml)
BUILDX = docker buildx build --platform linux/amd64,linux/arm64 --push
LOCK = $(VENV)/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
    --no-annotate --custom-compile-command "make lock"

E2E_smoke = tests/e2e/test_smoke.py
E2E_install = tests/e2e/test_install.py tests/e2e/test_more_nodes.py tests/e2e/test_releases.py tests/e2e/test_registry.py
E2E_faults = tests/e2e/test_faults.py
E2E_operation = tests/e2e/test_operation.py tests/e2e/test_skaffold.py
E2E_docs = tests/e2e/test_docs.py tests/e2e/test_external.py
E2E_spark = tests/e2e/test_spark.py
E2E_all = tests/e2e

.PHONY: setup help run test lint actionlint bench bench-spark peers stall pages acceptance acceptance-photos quality exports reference docs screenshots cassandra clients images spark-image load rendered \
    e2e power-loss hadoop train lock release package login push clean

setup: $(VENV)/serving ## make .venv from the locked requirements, with the command lookbook in it (the default)
	@echo "Ready. Serve with 'make run', or classify at once:"
	@echo "    $(VENV)/bin/lookbook classify tests/data/photos/shirt.jpg"
	@echo "'make help' lists everything else."

help: ## list these targets
	@sed -n 's/^\([a-z0-9-]*\):.*## /\1\t/p' $(MAKEFILE_LIST)

run: $(VENV)/serving ## serve on 127.0.0.1:8080, with SQLite and the default model
	$(VENV)/bin/python -m lookbook serve

test: $(VENV)/testing ## run the tests; those that need a missing tool are skipped
	$(VENV)/bin/python -m pytest

lint: $(VENV)/testing ## run ruff, mypy, and codespell
	$(VENV)/bin/ruff check . && $(VENV)/bin/ruff format --check . && $(VENV)/bin/mypy && $(VENV)/bin/codespell

actionlint: ## lint the workflows (needs Go)
	go run github.com/rhysd/actionlint/cmd/actionlint@v1.7.12

cassandra: ## start a Cassandra for the tests and benchmarks, in Docker on 127.0.0.1:9042
	tests/support/cassandra

clients: $(CLIENTS)/clients ## install the public clients of /v2, for the tests

bench: $(VENV)/testing ## measure requests, CPU time, and memory (needs wrk)
	$(VENV)/bin/python -m benchmarks.bench

bench-spark: $(VENV)/testing ## measure CPU time, speed, and memory of batch jobs on Spark (needs Java, and Docker for the commit log)
	$(VENV)/bin/python -m benchmarks.spark

peers: $(VENV)/testing $(PEERS:%=.venv-peers/%/peer) $(if $(shell command -v go),.venv-peers/vegeta) ## compare with other servers (needs wrk, and Go for the columns at half rate)
	$(VENV)/bin/python -m benchmarks.peers --behavior

stall: $(VENV)/testing .venv-peers/kserve/peer .venv-peers/vegeta .venv-peers/agent ## see what happens to records while their sink or store does not answer (needs Go)
	$(VENV)/bin/python -m benchmarks.peers --stall

pages: $(VENV)/testing ## measure the cost of a page at 1,000 and at 1,000,000 rows
	$(VENV)/bin/python -m benchmarks.pages

quality: $(VENV)/testing ## measure the cost of an evaluation of 28 days
	$(VENV)/bin/python -m benchmarks.quality

exports: $(VENV)/testing ## measure the cost of an export of 1,000,000 rows
	$(VENV)/bin/python -m benchmarks.export

acceptance: $(VENV)/testing ## measure how good the estimates of quality are: make acceptance [SCORES=FILE.npz]
	$(VENV)/bin/python -m benchmarks.truth $(if $(SCORES),--scores "$(SCORES)")

acceptance-photos: $(VENV)/testing ## measure how good the estimates are on labeled photographs: make acceptance-photos PHOTOS=FOLDER
	$(VENV)/bin/python -m benchmarks.truth_photos "$(PHOTOS)"

reference: $(VENV)/testing ## write the pages of docs/reference that are made from the code
	PYTHONPATH=model-init $(VENV)/bin/python -m tools.reference

docs: $(DOCS)/docs ## build the documentation as a website in site/; a dead link fails the build
	$(DOCS)/bin/python -m tools.website build/docs
	$(DOCS)/bin/zensical build --clean --strict

screenshots: $(VENV)/testing ## take the screenshots of the documentation again (needs chromium, fonts-inter, and fonts-urw-base35)
	$(VENV)/bin/python -m tools.screenshots

images: ## build the two container images
	docker build --tag lookbook:$(CURRENT) .
	docker build --tag lookbook-model-init:$(CURRENT) --file model-init/Dockerfile .

spark-image: ## build the container image of batch jobs, which takes 1.3 GB
	docker build --tag lookbook-spark:$(CURRENT) --file spark/Dockerfile .

load: ## load the container images and Cassandra's into a kind cluster
	docker image inspect $(CASSANDRA) >/dev/null || docker pull $(CASSANDRA)
	kind load docker-image lookbook:$(CURRENT) lookbook-model-init:$(CURRENT) $(CASSANDRA)
	! docker image inspect lookbook-spark:$(CURRENT) >/dev/null 2>&1 || kind load docker-image lookbook-spark:$(CURRENT)

rendered: ## render the chart's defaults into k8s/rendered.yaml
	helm template lookbook charts/lookbook > k8s/rendered.yaml

e2e: $(VENV)/testing ## test on the cluster that kubectl points to, with the container images loaded: make e2e E2E=smoke|install|faults|operation|docs|spark
	E2E=$(or $(E2E),all) $(VENV)/bin/python -m pytest --verbose $(or $(E2E_$(or $(E2E),all)),$(error no tests named $(E2E): E2E must be smoke, install, faults, operation, docs, or spark))

power-loss: $(VENV)/testing ## cut the power of three Cassandra nodes and count what is lost (needs root, Docker, xfsprogs, and helm)
	POWER=required $(VENV)/bin/python -m pytest --verbose tests/server/test_power_loss.py

hadoop: $(VENV)/testing ## run a batch job on S3 and one on YARN (needs Java and Maven; downloads 0.8 GB)
	test -d build/moto || { $(PYTHON) -m venv build/moto && build/moto/bin/pip install --quiet "moto[s3,server]==5.2.5"; }
	HADOOP=required $(VENV)/bin/python -m pytest --verbose tests/spark/test_hadoop.py

train: $(TRAINING)/training ## train and write the bundles: make train FASHION=FOLDER PHOTOS=FOLDER VERSION=1.2.3
	training/train "$(TRAINING)/bin/python" "$(FASHION)" "$(PHOTOS)"

lock: $(VENV)/testing ## renew the locked requirements from pyproject.toml and requirements.in
	for extra in "" dev spark training; do \
	    $(LOCK) $${extra:+--extra $$extra} pyproject.toml --output-file requirements$${extra:+-$$extra}.txt || exit 1; \
	done
	$(PYTHON) -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"])' | \
	    $(LOCK) - --output-file requirements-build.txt
	$(LOCK) model-init/requirements.in --constraint requirements-dev.txt --output-file model-init/requirements.txt
	$(LOCK) tests/support/clients.in --output-file requirements-clients.txt
	$(LOCK) --group docs --output-file requirements-docs.txt
	for peer in $(PEERS); do \
	    $(LOCK) benchmarks/peers/requirements/$$peer.in --output-file benchmarks/peers/requirements/$$peer.txt || exit 1; \
	done

release: ## write a new version wherever it is needed: make release VERSION=1.2.3
	$(PYTHON) -m tools.release $(VERSION)
	$(MAKE) rendered

package: ## package the chart, with the registry in its container images, into build/
	rm -rf build/chart && mkdir -p build/chart && cp -r charts/lookbook build/chart
	sed -i '/^  \(service\|modelInit\|spark\):/,/registry:/s#registry: ""#registry: $(REGISTRY)#' build/chart/lookbook/values.yaml
	helm package build/chart/lookbook --destination build

login: ## log in to the registry: make login REGISTRY_USER=..., with REGISTRY_PASSWORD in the environment
	@printenv REGISTRY_PASSWORD | docker login $(REGISTRY) --username "$(REGISTRY_USER)" --password-stdin
	@printenv REGISTRY_PASSWORD | helm registry login $(REGISTRY) --username "$(REGISTRY_USER)" --password-stdin

push: package ## build the container images for amd64 and arm64; push them and the chart
	$(BUILDX) --tag $(REGISTRY)/lookbook:$(CURRENT) .
	$(BUILDX) --tag $(REGISTRY)/lookbook-model-init:$(CURRENT) --file model-init/Dockerfile .
	$(BUILDX) --tag $(REGISTRY)/lookbook-spark:$(CURRENT) --file spark/Dockerfile .
	helm push build/lookbook-$(CURRENT).tgz oci://$(REGISTRY)/charts

clean: ## remove the environments and what was built
	rm -rf $(VENV) $(TRAINING) $(CLIENTS) $(DOCS) .venv-peers build site

$(VENV)/serving: requirements.txt
$(VENV)/testing: requirements-dev.txt
$(TRAINING)/training: requirements-training.txt
$(CLIENTS)/clients: requirements-clients.txt
$(DOCS)/docs: requirements-docs.txt

PIP = $(@D)/bin/pip --quiet --disable-pip-version-check
$(VENV)/serving $(VENV)/testing $(TRAINING)/training: requirements-build.txt pyproject.toml
	$(PYTHON) -m venv $(@D)
	$(PIP) install --require-hashes $(patsubst %,--requirement %,$(filter requirements%,$^))
	$(PIP) install --no-deps --no-build-isolation --editable .
	touch $@

$(CLIENTS)/clients $(DOCS)/docs:
	$(PYTHON) -m venv $(@D)
	$(PIP) install --require-hashes --requirement $<
	touch $@

.venv-peers/%/peer: benchmarks/peers/requirements/%.txt
	$(PYTHON) -m venv $(@D)
	$(PIP) install --require-hashes --requirement $<
	touch $@

.venv-peers/vegeta:
	GOBIN=$(abspath $(@D)) go install github.com/tsenart/vegeta/v12@v12.12.0

# Its module replaces others, so go install refuses it.
.venv-peers/agent:
	go build -C "$$(go mod download -json github.com/kserve/kserve@v0.20.0 | sed -n 's/.*"Dir": "\(.*\)".*/\1/p')" -o $(abspath $@) ./cmd/agent
