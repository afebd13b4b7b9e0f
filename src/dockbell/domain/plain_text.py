"""Text that changes nothing about the terminal or the log it is printed to."""


def plain(text: str) -> str:
    """The text with all that does not print written as Python would write it."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else repr(one)[1:-1] for one in text)
