# What a person or the CI does with this repository. `make` alone lists the targets.
#
# Everything that is made lies under one folder, CARGO_TARGET_DIR (`target` unless set), the Python environments too, so that
# the CI can keep it between fresh clones.

TARGET := $(abspath $(or $(CARGO_TARGET_DIR),target))
VENV := $(TARGET)/venv
LINT_VENV := $(TARGET)/lint-venv
SAM_VENV := $(TARGET)/sam-venv
SAM_LOCAL := $(TARGET)/sam-local
PYTHON ?= python3
SHARED ?= ../shared

# The CI must test what Cargo.lock says; at a desk, cargo may complete the lock file after a change to Cargo.toml.
LOCKED := $(if $(filter true,$(CI)),--locked)
# One set of features for everything here, because cargo builds the library anew for each.
FEATURES := --features test-clock

export CARGO_TARGET_DIR := $(TARGET)
# The tests and the demo start moto with this interpreter.
export CORDON_PYTHON ?= $(VENV)/bin/python
# sam would report each use to AWS.
export SAM_CLI_TELEMETRY := 0

.DEFAULT_GOAL := help
.PHONY: help venv lint-venv sam-venv docker test lint demo faults mutations broken check-data manual sam-validate sam-build sam-local clean-venv

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# $(call make-venv,FOLDER,REQUIREMENTS): an environment of exactly these requirements. Whether it is current is told by the content of the
# file, not by its date, which is new in every clone. An environment is made whole or not at all: the copy that marks it comes last.
define make-venv
@set -e; \
if cmp -s '$(2)' '$(1)/.made-from' && '$(1)/bin/python' -c '' 2>/dev/null; then exit 0; fi; \
command -v '$(PYTHON)' >/dev/null || { echo 'There is no $(PYTHON). Install Python 3.11 or newer, or name one: make PYTHON=/path/to/python3' >&2; exit 1; }; \
'$(PYTHON)' -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$(PYTHON) is $$('$(PYTHON)' -V 2>&1); Python 3.11 or newer is needed: make PYTHON=/path/to/python3" >&2; exit 1; }; \
echo '[1/2] new Python environment in $(1)'; \
rm -rf '$(1)'; \
if '$(PYTHON)' -c 'import ensurepip, venv' 2>/dev/null; then \
	'$(PYTHON)' -m venv '$(1)'; pip="$(1)/bin/python -m pip"; \
elif '$(PYTHON)' -c 'import pip, venv' 2>/dev/null; then \
	'$(PYTHON)' -m venv --without-pip '$(1)'; pip="$(PYTHON) -m pip --python $(1)/bin/python"; \
else \
	echo '$(PYTHON) can make no environment: it has neither ensurepip nor pip. On Debian and Ubuntu: apt-get install python3-venv' >&2; exit 1; \
fi; \
echo '[2/2] packages of $(2) (a minute or so)'; \
$$pip install --quiet --no-input --disable-pip-version-check --requirement '$(2)'; \
cp '$(2)' '$(1)/.made-from'
endef

venv: ## the Python environment of tests and demo (moto, boto3), made again when its requirements change
	$(call make-venv,$(VENV),tests/support/requirements.txt)

lint-venv:
	$(call make-venv,$(LINT_VENV),tests/support/requirements-lint.txt)

sam-venv:
	$(call make-venv,$(SAM_VENV),tests/support/requirements-sam.txt)

docker:
	@command -v docker >/dev/null || { echo 'docker is not installed: `sam local` runs the function in a container. On Debian: apt-get install docker.io' >&2; exit 1; }
	@why=$$(docker info --format '{{.ServerVersion}}' 2>&1) || { printf 'no Docker engine answers, and `sam local` runs the function in a container. Start one (dockerd), or let DOCKER_HOST name one of this machine. It said:\n%s\n' "$$why" >&2; exit 1; }

test: venv ## all tests, against moto on this machine; the first build takes some minutes
	cargo test $(LOCKED) --workspace $(FEATURES)
	$(VENV)/bin/python -m unittest discover -s tests/support/aws

lint: lint-venv ## formatting, clippy and the SAM template
	cargo fmt --all --check
	cargo clippy $(LOCKED) --workspace --all-targets $(FEATURES) -- -D warnings
	$(LINT_VENV)/bin/cfn-lint -- template.yaml deploy/operator.yaml
	$(LINT_VENV)/bin/python -B tests/support/policy_sizes.py template.yaml deploy/operator.yaml

demo: venv ## one attack, told by three sources, contained and released: on this machine and without an AWS account
	@echo 'building the function and the command line (the first time takes some minutes)'
	cargo build $(LOCKED) --workspace $(FEATURES) --bin responder --bin cordon --bin demo
	$(TARGET)/debug/demo --responder $(TARGET)/debug/responder

faults: venv ## every fault, death, storm and attacker there is, with a table at the end; over an hour, or a share: make faults ONE_IN=11 FROM=200
	CORDON_FAULTS_ONE_IN=$(or $(ONE_IN),1) CORDON_FAULTS_FROM=$(or $(FROM),0) cargo test $(LOCKED) $(FEATURES) --test it -- --ignored --nocapture suite::faults

mutations: ## bend ten million events and see that each is judged; an hour to build and run, or fewer: make mutations COUNT=100000
	CORDON_MUTATIONS=$(or $(COUNT),10000000) cargo test $(LOCKED) --profile quick --test it -- --nocapture mutations::

broken: venv ## break the engine on purpose, and see that the suite finds it
	tests/broken/check.sh

check-data: venv ## replay the public findings of ../shared/data, compare, and resolve all identities of its records
	cargo build $(LOCKED) $(FEATURES) --bin cordon
	$(VENV)/bin/python tests/support/check_data.py --cordon $(TARGET)/debug/cordon --shared $(SHARED)
	$(VENV)/bin/python tests/support/check_records.py --cordon $(TARGET)/debug/cordon --shared $(SHARED)
	CORDON_SHARED=$(SHARED) cargo test $(LOCKED) $(FEATURES) --test it -- --ignored --nocapture identities::

manual: ## write docs/manual.md anew from the pages of playbooks and actions
	UPDATE_MANUAL=1 cargo test $(LOCKED) $(FEATURES) --test it manual::

sam-validate: ## check the template with sam itself, where it is installed
	@sam=$$(command -v sam || command -v '$(VENV)/bin/sam' || command -v '$(LINT_VENV)/bin/sam' || command -v '$(SAM_VENV)/bin/sam') \
		|| { echo 'sam is not installed: pip install aws-sam-cli' >&2; exit 1; }; \
	"$$sam" validate --lint --region us-east-1 --template template.yaml

sam-build: sam-venv ## build the function for Lambda with sam (the first time takes some ten minutes)
	PATH="$(SAM_VENV)/bin:$$PATH" sam build ResponderFunction --beta-features --region us-east-1 --build-dir '$(SAM_LOCAL)/build'

# The engine is asked for first, because all that follows takes long.
sam-local: docker venv sam-build ## build with sam, and let `sam local invoke` contain two incidents against moto (needs Docker on Linux)
	PATH="$(SAM_VENV)/bin:$$PATH" sam validate --lint --region us-east-1 --template template.yaml
	$(VENV)/bin/python tests/support/sam_local.py --template '$(SAM_LOCAL)/build/template.yaml' --folder '$(SAM_LOCAL)' \
		--python '$(VENV)/bin/python' --sam-python '$(SAM_VENV)/bin/python'

clean-venv: ## remove the Python environments
	rm -rf '$(VENV)' '$(LINT_VENV)' '$(SAM_VENV)'
