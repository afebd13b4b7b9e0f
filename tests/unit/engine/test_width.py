"""Fewer tries at once while sockets run out, and as many as before soon after."""

from dockbell.engine.width import Width


def test_a_shortage_halves_and_its_end_gives_back_step_by_step() -> None:
    width = Width(64)
    seen = []
    for is_short in (True, True, True, False, False):
        if is_short:
            width.note_shortage()
        seen.append(width.adjust())

    assert seen == [32, 16, 8, 10, 12]
    assert [width.adjust() for _ in range(30)][-1] == 64


def test_one_try_at_a_time_is_always_left() -> None:
    width = Width(3)
    for _ in range(5):
        width.note_shortage()
        width.adjust()

    assert width.now == 1
    assert [width.adjust() for _ in range(3)] == [2, 3, 3]
