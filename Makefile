# Every target works on a bare machine: Python 3.11 or newer with venv, make, a package index.

SHELL := /bin/sh
PY := .venv/bin/python
PIP := $(PY) -m pip --disable-pip-version-check install --quiet --require-hashes

.DEFAULT_GOAL := help
.PHONY: help up test lint bench fmt lock openapi clients venv venv-dev

help:
	@echo "make up      start the portal (ARGS='--port 9000 --no-demo')"
	@echo "make test    run the whole suite (ARGS='tests/catalog -k name')"
	@echo "make lint    check style, types, imports, migrations, the API document, templates"
	@echo "make bench   measure side by side (ARGS=…)"
	@echo "make fmt     format the code"
	@echo "make lock    pin the dependencies anew"
	@echo "make openapi write docs/openapi.yaml"
	@echo "make clients install the programs of others that the contract tests run"

up: venv
	@exec $(PY) manage.py up $(ARGS)

test: venv-dev
	@exec $(PY) -m pytest $(ARGS)

lint: venv-dev
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	.venv/bin/lint-imports
	$(PY) -W ignore::RuntimeWarning manage.py makemigrations --check --dry-run
	$(PY) manage.py spectacular --validate --fail-on-warn | diff -u docs/openapi.yaml - || \
		{ echo "docs/openapi.yaml is out of date: run make openapi"; exit 1; }
	.venv/bin/djlint --lint templates

bench: venv-dev
	@exec $(PY) bench $(ARGS)

fmt: venv-dev
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

openapi: venv-dev
	$(PY) manage.py spectacular --validate --fail-on-warn --file docs/openapi.yaml

# Universal: one lock for every platform and Python; naming no index, so that any will do.
LOCK := pip compile --quiet --universal --generate-hashes --no-header --no-annotate \
	--no-emit-index-url --python-version
lock: venv
	@command -v uv >/dev/null || { echo "make lock needs uv: pip install uv"; exit 1; }
	uv $(LOCK) 3.11 pyproject.toml -o requirements.lock
	uv $(LOCK) 3.11 pyproject.toml --group dev -c requirements.lock -o requirements-dev.lock
	uv $(LOCK) 3.12 --group clients -o requirements-clients.lock
	uv $(LOCK) 3.11 --group cortex -o requirements-cortex.lock
	uv $(LOCK) 3.13 --group mcp -o requirements-mcp.lock

# One environment serves both; the development set holds the other. A stamp inside it keeps the
# checksum of the lock it was made from, so that nothing is installed twice.
venv:
	@[ "$$(cat .venv/lock.stamp 2>/dev/null)" = "$$(cksum < requirements.lock)" ] && \
		$(PY) -c '' 2>/dev/null || { $(MAKE) --no-print-directory .venv-made && \
		echo "installing the packages of requirements.lock" && \
		$(PIP) -r requirements.lock && \
		rm -f .venv/lock-dev.stamp && cksum < requirements.lock > .venv/lock.stamp; }

venv-dev:
	@[ "$$(cat .venv/lock-dev.stamp 2>/dev/null)" = "$$(cksum < requirements-dev.lock)" ] && \
		$(PY) -c '' 2>/dev/null || { $(MAKE) --no-print-directory .venv-made && \
		echo "installing the packages of requirements-dev.lock" && \
		$(PIP) -r requirements-dev.lock && \
		cksum < requirements.lock > .venv/lock.stamp && \
		cksum < requirements-dev.lock > .venv/lock-dev.stamp; }

# Programs of others have environments of their own, since they want newer Pythons and other
# versions. No dependency is looked up: the locks have them all, and some extras that packages name
# are in none of them. $(1): the environment; $(2): its lock; $(3): the oldest Python 3 it is for.
define client_environment
@[ "$$(cat $(1)/lock.stamp 2>/dev/null)" = "$$(cksum < $(2))" ] && \
	$(1)/bin/python -c '' 2>/dev/null && exit 0; \
for python in $(CLIENTS_PYTHON) python3.12 python3.13 python3.14 python3 \
	"$$HOME"/.pyenv/versions/3.1[2-9]*/bin/python; do \
	"$$python" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, $(3)))' \
		2>/dev/null || continue; \
	echo "making $(1) with $$("$$python" --version)"; \
	rm -rf $(1) && "$$python" -m venv $(1) && \
	$(1)/bin/python -m pip --disable-pip-version-check install --quiet \
		--require-hashes --no-deps -r $(2) && \
	cksum < $(2) > $(1)/lock.stamp; \
	exit; \
done; \
echo "error: no Python 3.$(3) or newer with venv was found for $(1)." \
	"Name one: make clients CLIENTS_PYTHON=/path/to/python3.$(3)"; \
exit 1
endef

BACKSTAGE_CLIENT := tests/contract/backstage_client
clients:
	$(call client_environment,.venv-cortex,requirements-cortex.lock,11)
	$(call client_environment,.venv-clients,requirements-clients.lock,12)
	$(call client_environment,.venv-mcp,requirements-mcp.lock,13)
	@stamp="$$(cksum < $(BACKSTAGE_CLIENT)/package-lock.json)"; \
	[ "$$(cat $(BACKSTAGE_CLIENT)/node_modules/lock.stamp 2>/dev/null)" = "$$stamp" ] || \
	if command -v npm >/dev/null; then \
		echo "installing the packages of $(BACKSTAGE_CLIENT)/package-lock.json" && \
		npm ci --prefix $(BACKSTAGE_CLIENT) --ignore-scripts --no-audit --no-fund --silent && \
		echo "$$stamp" > $(BACKSTAGE_CLIENT)/node_modules/lock.stamp; \
	else \
		echo "Backstage's client is left out: it needs Node.js with npm"; \
	fi

.PHONY: .venv-made
.venv-made:
	@$(PY) -m pip --version >/dev/null 2>&1 || { \
		for python in $(PYTHON) python3.12 python3.11 python3.13 python3.14 python3; do \
			"$$python" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' \
				2>/dev/null || continue; \
			echo "making .venv with $$("$$python" --version)"; \
			rm -rf .venv && "$$python" -m venv .venv && exit 0; \
		done; \
		echo "error: no Python 3.11 or newer with venv was found (Debian: apt install" \
			"python3-venv). Name one: make up PYTHON=/path/to/python3"; \
		exit 1; \
	}
