"""Configs are shown without their secrets, and a mask that comes back changes nothing."""

import pytest

from dockbell import methods
from dockbell.domain.masks import MASK, masked, unmasked
from dockbell.domain.methods import Method


@pytest.mark.parametrize("method", methods.catalog().values(), ids=lambda one: one.name)
def test_every_secret_field_is_masked_and_nothing_else(method: Method) -> None:
    config = {field.key: field.example for field in method.fields}

    shown = masked(method, config)

    assert shown == {
        field.key: MASK if field.secret else field.example for field in method.fields
    }
    assert unmasked(shown, config) == config


def test_what_a_method_does_not_declare_is_masked_too() -> None:
    webhook = methods.catalog()["webhook"]

    assert masked(webhook, {"password": "x", "empty": ""}) == {"password": MASK, "empty": ""}
    assert masked(None, {"url": "x"}) == {"url": MASK}
