# Thin names for run.py. Each works in a fresh checkout with nothing but Python 3.11 and make.

PYTHON ?= python3
ARGS ?=

.PHONY: help serve demo test soak check bench lock

help:
	@$(PYTHON) run.py --help
	@echo "make names: serve demo test soak check bench lock; more words go in ARGS, as in: make serve ARGS='--port 9000'"

serve demo bench test soak check:
	@$(PYTHON) run.py $@ $(ARGS)

# Both lock files hold hashes, and neither addresses nor paths. They are made with uv; nothing else needs it.
lock:
	@command -v uv >/dev/null || { echo "make lock needs uv: python3 -m pip install uv (in an environment of yours)" >&2; exit 1; }
	uv pip compile pyproject.toml --generate-hashes --no-header --universal --python-version 3.11 --quiet -o requirements.txt
	uv pip compile pyproject.toml --group dev --generate-hashes --no-header --universal --python-version 3.11 --quiet --constraints requirements.txt -o requirements-dev.txt
