"""Each cause of a failed try has its sentence of advice."""

import pytest

from dockbell.domain.advice import ADVICE, advice_of
from dockbell.domain.outcomes import Code


@pytest.mark.parametrize("code", Code)
def test_every_code_has_one_sentence_of_advice(code: Code) -> None:
    advice = ADVICE[code]

    assert advice.endswith(".")
    assert "\n" not in advice
    assert advice_of(code.value) == advice


def test_a_code_of_another_version_has_no_advice() -> None:
    assert advice_of("solar_flare") is None
