"""What this program is called, and its version, where others see it."""

NAME = "dockbell"
VERSION = "0.1.0"  # as in pyproject.toml; unit/domain/test_product.py compares them

USER_AGENT = f"{NAME}/{VERSION}"
