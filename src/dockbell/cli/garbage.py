"""How often a long-lived process looks for garbage."""

import gc

# Nearly everything here is freed by its count alone. With Python's own 700, a busy engine spends a quarter of its
# time on looking through tries that are still under way.
_YOUNG, _MIDDLE, _OLD = 50_000, 20, 100


def look_seldom() -> None:
    """Call it once everything is built: what is there now stays until the end, and is not looked at again."""
    gc.enable()
    gc.freeze()
    gc.set_threshold(_YOUNG, _MIDDLE, _OLD)
