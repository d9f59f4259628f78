import xml.etree.ElementTree as ET

import pytest

from tinydl.plots.svg import Box, Input, Line, draw

SVG = "{http://www.w3.org/2000/svg}"
LEAF = Box(0, "leaf", [Line("x", "name"), Line("2", "value")])
RESULT = Box(1, "result", [Line("a < b & c", "value")], [Input(0, "a"), Input(0, "b")], "÷", "div: <a> & b")


def parsed(*boxes, legend=()):
    return ET.fromstring(str(draw(boxes, legend)))


def words(root):
    return [text.text.replace("\N{NO-BREAK SPACE}", " ") for text in root.iter(f"{SVG}text") if text.text]


def test_it_is_xml_with_every_word_escaped():
    root = parsed(LEAF, RESULT)
    assert root.tag == f"{SVG}svg"
    assert words(root) == ["a", "b", "x", "2", "÷", "a < b & c"]
    assert [title.text for title in root.iter(f"{SVG}title")] == ["computational graph", "div: <a> & b"]


def test_an_edge_used_twice_is_drawn_twice():
    curves = [p.get("d") for p in parsed(LEAF, RESULT).iter(f"{SVG}path") if p.get("fill") == "none"]
    assert len(set(curves)) == 2


def test_every_word_lies_inside_its_box():
    """Letters 8 units wide at size 13 cover every usual monospace font."""
    box = Box(0, "result", [Line("[ 1, 2]", "value"), Line("  a long line", "gradient")], (), "log_softmax")
    root = parsed(box)
    frame, badge = [r for r in root.iter(f"{SVG}rect") if r.get("x")]
    for text in root.iter(f"{SVG}text"):
        owner = badge if text.text == "log_softmax" else frame
        left, width = float(owner.get("x")), float(owner.get("width"))
        half, middle = 4 * len(text.text), float(text.get("x"))
        assert left <= middle - half
        assert middle + half <= left + width
        top, height = float(owner.get("y")), float(owner.get("height"))
        assert top + 8 <= float(text.get("y")) <= top + height


def test_everything_lies_inside_the_picture():
    root = parsed(LEAF, RESULT, legend=[Line("value", "value"), Line("a rather long explanation of it", "gradient")])
    width = float(root.get("width"))
    assert width >= 8 * len("value   a rather long explanation of it")
    assert root.get("viewBox") == f"0 0 {root.get('width')} {root.get('height')}"


def test_the_same_boxes_give_the_same_bytes():
    assert str(draw([LEAF, RESULT])) == str(draw([LEAF, RESULT]))
    assert repr(draw([LEAF, RESULT])) == repr(draw([LEAF, RESULT]))
    moved = [LEAF._replace(key=77), RESULT._replace(inputs=[Input(77, "a"), Input(77, "b")])]
    assert str(draw(moved)) == str(draw([LEAF, RESULT]))


def test_a_notebook_shows_what_save_writes(tmp_path):
    picture = draw([LEAF, RESULT])
    picture.save(tmp_path / "graph.svg")
    assert (tmp_path / "graph.svg").read_text(encoding="utf-8") == picture._repr_svg_() == str(picture)


@pytest.mark.parametrize("inputs", [1, 2, 5])
def test_edges_arrive_at_the_badge_in_order(inputs):
    leaves = [Box(i, "leaf", [Line("x", "name")]) for i in range(inputs)]
    root = parsed(*leaves, Box(9, "result", [Line("y", "value")], [Input(i) for i in range(inputs)], "cat"))
    (badge,) = [r for r in root.iter(f"{SVG}rect") if r.get("rx") == "12.5"]
    top = float(badge.get("y"))
    tips = [float(p.get("d").split()[1]) for p in root.iter(f"{SVG}path") if p.get("stroke") is None]
    assert tips == sorted(tips)
    assert all(top <= tip <= top + float(badge.get("height")) for tip in tips)
