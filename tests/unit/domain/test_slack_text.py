"""Messages in Slack's markup (quay-compat 4.6, 9.3 D4)."""

import pytest

from dockbell.domain.slack_text import escaped, slack_text


@pytest.mark.parametrize(
    ("html", "text"),
    [
        (
            "Namespace <b>quay</b> storage usage has\n<b>exceeded</b> its quota limit (110%).",
            "Namespace *quay* storage usage has *exceeded* its quota limit (110%).",
        ),
        ("has reached\n  <strong>70%</strong> of", "has reached *70%* of"),
        ("line one<br>line two", "line one\nline two"),
        ("line one<br/>line two", "line oneline two"),
        (
            '<a href="https://quay.io">link</a> and <i>italic</i>',
            "<https://quay.io|link> and _italic_",
        ),
        ("a\n \t b", "a b"),
        ('<img src="x.png"> <span>kept</span>', " kept"),
        ("&eacute; &amp; &lt;!channel&gt;", "é &amp; &lt;!channel&gt;"),
        ("&lt;br&gt;", "&lt;br&gt;"),
        (
            '<a href="https://h/?a=1&amp;b=2">x &gt; y</a>',
            "<https://h/?a=1&b=2|x &gt; y>",
        ),
        ('<a href="https://h/a|b&gt;c d">x</a>', "<https://h/a%7Cb%3Ec%20d|x>"),
        ("<a>x</a>", "<|x>"),
        ("an open < sign", "an open &lt; sign"),
    ],
)
def test_html_becomes(html: str, text: str) -> None:
    assert slack_text(html) == text


def test_data_cannot_call_a_channel() -> None:
    assert escaped("<!channel> & <@U1>") == "&lt;!channel&gt; &amp; &lt;@U1&gt;"
