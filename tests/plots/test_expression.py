import xml.etree.ElementTree as ET

import numpy as np
import pytest

from tinydl import Tensor, grad, no_grad, ops
from tinydl.graph import ancestors
from tinydl.plots import graph
from tinydl.plots.expression import _slopes
from tinydl.plots.recall import values_of

SVG = "{http://www.w3.org/2000/svg}"


def leaf(value):
    return Tensor(np.array(value, np.float64), requires_grad=True)


def boxes(picture):
    """Return (op, lines) of each box of the picture, as a reader sees them."""
    found = []
    for group in ET.fromstring(str(picture)).find(f"{SVG}g").findall(f"{SVG}g"):
        lines = [text.text.replace("\N{NO-BREAK SPACE}", " ") for text in group.findall(f"{SVG}text")]
        if lines:
            badge = any(rect.get("rx") == "12.5" for rect in group.findall(f"{SVG}rect"))
            found.append((lines[0], lines[1:]) if badge else ("", lines))
    return found


def number(text):
    return float(text.removeprefix("∂ ").replace("−", "-"))


def test_names_ops_values_and_gradients_are_those_of_the_expression():
    a, b, c = leaf(2.0), leaf(-3.0), leaf(10.0)
    d = a * b + c
    e = d.tanh() * a
    slopes = dict(zip("abcd", grad(e, [a, b, c, d], retain_graph=True)))
    drawn = boxes(graph(e, {"a": a, "b": b, "c": c, "d": d, "e": e}))
    assert [op for op, _ in drawn] == ["", "", "×", "", "+", "tanh", "×"]
    named = {lines[0]: lines[1:] for _, lines in drawn if len(lines) == 3}
    for name, tensor in {"a": a, "b": b, "c": c, "d": d}.items():
        assert number(named[name][0]) == pytest.approx(tensor.item(), rel=1e-3)
        assert number(named[name][1]) == pytest.approx(slopes[name].item(), rel=1e-3)
    assert number(named["e"][0]) == pytest.approx(e.item(), rel=1e-3)
    assert named["e"][1] == "∂ 1"
    product = next(lines for op, lines in drawn if op == "×")
    assert number(product[0]) == -6
    assert number(product[1]) == pytest.approx(slopes["d"].item(), rel=1e-3)


def test_paths_add_up():
    a = leaf(3.0)
    assert boxes(graph(a + a)) == [("", ["3", "∂ 2"]), ("+", ["6", "∂ 1"])]
    assert boxes(graph(a * a + a))[0] == ("", ["3", "∂ 7"])


def test_arrays_are_printed_row_by_row():
    w = leaf([[1.0, -2.0], [0.5, 4.0]])
    drawn = boxes(graph((w * w).sum()))
    assert drawn[0][1] == ["[  1,  −2]", "[0.5,   4]", "∂ [ 2, −4]", "[ 1,  8]"]
    assert drawn[1][1] == ["[   1,    4]", "[0.25,   16]", "∂ [1, 1]", "[1, 1]"]
    assert boxes(graph(leaf([1.0, 2.0]).sum()))[0][1] == ["[1, 2]", "∂ [1, 1]"]


def test_large_arrays_show_shape_and_range():
    w = leaf(np.linspace(-1, 2, 10).reshape(2, 5))
    assert boxes(graph((w * 3.0).sum()))[0][1] == ["(2, 5)", "−1 … 2", "∂ (2, 5)", "3 … 3"]


def test_constants_are_drawn_and_shared():
    x, w = Tensor([1.0, 2.0]), Tensor([3.0, 4.0], requires_grad=True)
    drawn = boxes(graph((w * x + w * x).sum(), {"x": x}))
    assert [lines for op, lines in drawn if not op] == [["[3, 4]", "∂ [2, 4]"], ["x", "[1, 2]"]]
    assert ("", ["2"]) in boxes(graph(leaf(3.0) ** 2))


def test_a_constant_that_no_derivative_needs_is_drawn_without_its_value():
    drawn = boxes(graph((leaf(1.0) + 2.0).relu()))
    assert drawn == [("", ["1", "∂ 1"]), ("", ["constant"]), ("+", ["not kept", "∂ 1"]), ("relu", ["3", "∂ 1"])]


def test_naming_a_result_brings_its_value_back():
    x = leaf(1.0)
    shifted = x + 2.0
    assert ("+", ["s", "3", "∂ 1"]) in boxes(graph(shifted.relu(), {"s": shifted}))


def test_optional_operands_that_were_not_given_are_not_drawn():
    x, w = leaf(np.ones((2, 3))), leaf(np.ones((4, 3)))
    assert [op for op, _ in boxes(graph(ops.linear(x, w).sum()))] == ["", "", "linear", "sum"]


def test_operands_are_named_where_their_order_matters():
    a, b = leaf(1.0), leaf(2.0)

    def labels(tensor):
        root = ET.fromstring(str(graph(tensor)))
        return sorted(text.text for text in root.iter(f"{SVG}text") if text.get("font-size") == "9.5")

    assert labels(a / b) == ["a", "b"]
    assert labels(a * b) == labels(a.exp()) == []
    assert labels(ops.linear(leaf(np.ones((1, 2))), leaf(np.ones((1, 2))), leaf(np.ones(1))).sum()) == [
        "bias",
        "weight",
        "x",
    ]


def expressions():
    x, w = leaf([[1.0, -2.0, 0.5], [0.0, 3.0, 1.5]]), leaf([[0.2, 0.1, -0.4], [1.0, 0.5, 0.3]])
    return {
        "matmul": [(h := x @ w.T), h.sum()],
        "vector": [(h := w @ leaf([1.0, 2.0, 3.0])), h.sum()],
        "reshape": [(h := (x + w).reshape(3, 2)), h.sum()],
        "expand": [(h := ops.expand(x.sum(0, keepdim=True), (2, 3))), (h + w).sum()],
        "mean": [(h := x.mean(1, keepdim=True)), (x - h).relu().sum()],
        "cat": [(h := ops.cat([x + w, w + x], 1)), h.sum()],
        "linear": [(h := ops.linear(x, w, leaf([1.0, 2.0]))), h.relu().mean()],
        "loss": [(h := ops.linear(x, w, leaf([1.0, 2.0]))), ops.cross_entropy(h, Tensor(np.array([0, 1])))],
        "conv": [
            (h := ops.conv2d(leaf(np.ones((1, 2, 4, 4))), leaf(np.ones((3, 2, 3, 3))), leaf([1.0, 2, 3]))),
            h.sum(),
        ],
    }


@pytest.mark.parametrize("name", expressions())
def test_what_is_recalled_is_what_was_computed(name):
    """An intermediate result that the picture knows of is bit for bit the one that went through."""
    middle, root = expressions()[name]
    nodes = ancestors([root._node])
    slopes = _slopes(root._node, np.ones_like(root.data), nodes)
    values = values_of(root, nodes, {key: np.shape(slope) for key, slope in slopes.items()})
    np.testing.assert_array_equal(values[id(middle._node)], middle.numpy())
    assert set(values) == set(slopes)


def test_drawing_changes_nothing():
    a = leaf(2.0)
    b = a * a
    b.retain_grad()
    called = []
    a.register_hook(called.append)
    c = b.exp()
    before = str(graph(c))
    assert (a.grad, b.grad, called) == (None, None, [])
    assert str(graph(c)) == before
    c.backward()
    assert a.grad.item() == pytest.approx(4 * np.exp(4))


def test_the_same_expression_gives_the_same_picture():
    def draw():
        a, b = leaf(1.5), leaf(0.5)
        return str(graph((a - b) / (a**2 + b.exp()), {"a": a}))

    assert draw() == draw()


def test_values_and_gradients_can_be_left_out():
    a = leaf(2.0)
    b = leaf([1.0, 2.0])
    assert boxes(graph(a * a, gradients=False)) == [("", ["2"]), ("×", ["4"])]
    assert boxes(graph(a * a, values=False)) == [("", ["∂ 4"]), ("×", ["∂ 1"])]
    assert boxes(graph(b * b, values=False, gradients=False)) == [("", ["(2,)"]), ("×", ["(2,)"])]
    assert boxes(graph(b * b, gradients=False)) == [("", ["[1, 2]"]), ("×", ["[1, 4]"])]


def test_the_legend_names_the_result():
    a = leaf(2.0)
    loss = a * a
    legend = ET.fromstring(str(graph(loss, {"loss": loss}))).iter(f"{SVG}tspan")
    assert [text.text for text in legend] == ["value", "∂ gradient of loss by this box"]


def test_a_leaf_alone_is_one_box():
    assert boxes(graph(leaf(2.0))) == [("", ["2", "∂ 1"])]


def test_a_retained_graph_can_be_drawn_after_backward():
    a = leaf(2.0)
    b = a * a
    b.backward(retain_graph=True)
    assert boxes(graph(b))[0] == ("", ["2", "∂ 4"])


def test_infinities_do_not_warn():
    a = leaf(0.0)
    assert boxes(graph(a.log())) == [("", ["0", "∂ inf"]), ("log", ["−inf", "∂ 1"])]


def freed():
    b = leaf(2.0) * 3.0
    b.backward()
    return b


def unrecorded():
    with no_grad():
        return leaf(2.0) * 3.0


def long(n):
    x = leaf(1.0)
    for _ in range(n):
        x = x * 1.5
    return x


@pytest.mark.parametrize(
    "make, error, message",
    [
        (lambda: 3.0, TypeError, "graph: tensor must be a Tensor, got float"),
        (lambda: Tensor(1.0), ValueError, "graph: tensor has no graph"),
        (unrecorded, ValueError, "graph: tensor has no graph: .* inside no_grad"),
        (freed, ValueError, "graph: backward has freed the graph behind mul; draw first or retain_graph=True"),
        (lambda: leaf([1.0, 2.0]) * 2.0, ValueError, r"graph: gradients need a scalar, got shape \(2,\)"),
        (lambda: long(60), ValueError, "graph: 61 boxes, limit is 60"),
        (lambda: long(10**5), ValueError, "graph: 100001 boxes, limit is 60"),
    ],
)
def test_refuses_by_name(make, error, message):
    tensor = make()
    with pytest.raises(error, match=message):
        graph(tensor)


def test_the_limit_can_be_raised():
    assert len(boxes(graph(long(70), limit=71))) == 141  # constants do not count


def test_what_was_changed_in_place_is_not_drawn_as_if_it_were_not():
    a = leaf(2.0)
    b = a * a
    with no_grad():
        a.add_(1.0)
    with pytest.raises(RuntimeError, match="changed in place"):
        graph(b)
