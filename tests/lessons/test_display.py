"""What a learner sees, in a terminal and in a notebook."""

from tinydl.lessons import Hint, Solution, Verdict

WRONG = Verdict("01.1", "wrong", "a < b", (("yours", "f(x) < 1\nline two"), ("likely", "no")))


def test_text():
    assert repr(WRONG) == "✗ 01.1 wrong: a < b\n    yours: f(x) < 1\n        line two\n    likely: no"
    assert repr(Verdict("01.1", "right", "well")) == "✓ 01.1 right: well"
    assert repr(Verdict("01.1", "not attempted", "do")) == "○ 01.1 not attempted: do"
    assert repr(Hint("01.1", 1, 3, "look")) == "hint 1 of 3 for 01.1: look"
    assert repr(Solution("01.1", "a = 1", 1)) == "a = 1"


def test_html_says_the_same_and_escapes():
    html = WRONG._repr_html_()
    assert "✗ 01.1 wrong" in html
    assert "a &lt; b" in html
    assert "<code>f(x) &lt; 1\nline two</code>" in html
    assert "a &lt; b" in Hint("01.1", 1, 3, "a < b")._repr_html_()
    assert "<pre>a &lt; b</pre>" in Solution("01.1", "a < b", None)._repr_html_()
