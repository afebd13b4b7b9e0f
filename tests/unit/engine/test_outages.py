"""When nothing goes out any more, it is nobody's fault but ours."""

from dataclasses import replace

import pytest

from dockbell.domain.outcomes import Code, Delivered, Failed, Fault, Outcome, Rejected
from dockbell.engine.outages import HOSTS, SPAN_SECONDS, Outages

NO_NAME = Failed(Code.DNS_FAILED, "The name servers could not answer.")
NO_WAY = Failed(Code.CONNECT_FAILED, "There is no way.")
REFUSED = Failed(Code.CONNECT_REFUSED, "Refused.")


def faults(outages: Outages, *tries: tuple[str, Outcome], at: float = 0.0) -> list[str | None]:
    """Whose fault each of these is, by name."""
    judged = [outages.judge(host, outcome, at) for host, outcome in tries]
    return [None if isinstance(one, Delivered) else one.fault.value for one in judged]


def begin(outages: Outages, outcome: Outcome, at: float = 0.0) -> None:
    for number in range(HOSTS):
        outages.judge(f"h{number}.test:443", outcome, at)


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        (Code.DNS_FAILED, "No name server answers."),
        (Code.DNS_TIMEOUT, "No name server answers."),
        (Code.CONNECT_TIMEOUT, "No host can be connected to."),
        (Code.CONNECT_FAILED, "No host can be connected to."),
    ],
)
def test_many_hosts_that_fail_alike_are_our_own_outage(code: Code, sentence: str) -> None:
    outages = Outages()
    outcome = Failed(code, "No.")

    seen = faults(outages, *((f"h{number}.test:443", outcome) for number in range(HOSTS + 1)))

    assert seen == [*["target"] * (HOSTS - 1), "ours", "ours"]
    assert outages.problem() == sentence


def test_the_sentence_says_so_and_the_rest_stays() -> None:
    outages = Outages()
    begin(outages, NO_WAY)

    judged = outages.judge("late.test:443", NO_WAY, 5.0)

    assert judged == replace(
        NO_WAY,
        detail="There is no way. It is the same for others, so this server's own network is at fault.",
        fault=Fault.OURS,
    )


def test_one_host_that_fails_often_is_its_own_fault() -> None:
    outages = Outages()

    seen = faults(outages, *[("h.test:443", NO_WAY)] * 50)

    assert seen == ["target"] * 50
    assert outages.problem() is None


def test_hosts_that_fail_long_after_one_another_are_their_own_fault() -> None:
    outages = Outages()

    for number in range(3 * HOSTS):
        outages.judge(f"h{number}.test:443", NO_WAY, number * SPAN_SECONDS / (HOSTS - 1))

    assert outages.problem() is None


@pytest.mark.parametrize(
    "relief", [Delivered(), REFUSED, Failed(Code.HTTP_5XX, "503"), Rejected(Code.HTTP_410, "")]
)
def test_an_answer_of_anybody_ends_it(relief: Outcome) -> None:
    outages = Outages()
    begin(outages, NO_WAY)

    outages.judge("well.test:443", relief, 1.0)

    assert outages.problem() is None
    assert faults(outages, ("h0.test:443", NO_WAY), at=2.0) == ["target"]


def test_it_lasts_until_then_however_seldom_anybody_tries() -> None:
    outages = Outages()
    begin(outages, NO_WAY)

    seen = faults(outages, ("h0.test:443", NO_WAY), at=86_400.0)

    assert seen == ["ours"]


def test_an_answer_between_them_makes_it_begin_anew() -> None:
    outages = Outages()

    seen = faults(
        outages,
        *[("a.test:443", NO_WAY), ("b.test:443", NO_WAY), ("c.test:443", Delivered())],
        *[("d.test:443", NO_WAY), ("e.test:443", NO_WAY)],
    )

    assert seen == ["target", "target", None, "target", "target"]


@pytest.mark.parametrize("host", ["127.0.0.1:80", "::1:80"])
def test_an_address_that_answers_says_nothing_of_name_servers(host: str) -> None:
    outages = Outages()
    begin(outages, NO_NAME)

    outages.judge(host, Delivered(), 1.0)

    assert outages.problem() == "No name server answers."


def test_a_name_that_is_found_says_that_name_servers_answer() -> None:
    for found in (NO_WAY, Failed(Code.DNS_NXDOMAIN, "It does not exist.")):
        outages = Outages()
        begin(outages, NO_NAME)

        outages.judge("found.test:443", found, 1.0)

        assert outages.problem() is None


def test_what_goes_to_no_host_says_nothing() -> None:
    outages = Outages()
    begin(outages, NO_WAY)

    assert outages.judge(None, Delivered(), 1.0) == Delivered()
    assert outages.problem() == "No host can be connected to."


def test_another_failure_during_an_outage_stays_the_targets() -> None:
    outages = Outages()
    begin(outages, NO_NAME)

    assert faults(outages, ("10.0.0.1:80", REFUSED)) == ["target"]


def test_its_beginning_and_its_end_are_said_once() -> None:
    said: list[str | None] = []
    outages = Outages(said.append)

    begin(outages, NO_WAY)
    begin(outages, NO_WAY, at=1.0)
    outages.judge("well.test:443", Delivered(), 2.0)
    outages.judge("well.test:443", Delivered(), 3.0)

    assert said == ["No host can be connected to.", None]
