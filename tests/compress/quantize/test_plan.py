import re

import numpy as np
import pytest
from networks import FAMILIES, build, everything, images, small_images

from tinydl import nn
from tinydl.compress import flow, fold_batch_norm
from tinydl.compress.quantize import places, prepare
from tinydl.compress.quantize.plan import SHARING
from tinydl.op import FUSED, OPS


def found(model, x):
    steps = flow(fold_batch_norm(model), x)
    return steps, places(steps)


def grouped(where):
    return {str(value): str(first) for value, first in where.groups.items()}


def test_one_network_by_hand():
    """Steps: 0 conv, 1 relu, 2 conv beside, 3 add, 4 relu, 5 mean, 6 conv, 7 sigmoid, 8 mul, 9 cat, 10 max, 11, 12."""
    steps, where = found(everything(), small_images(2))
    assert [step.op for step in steps.steps] == [
        *("cross_correlation", "relu", "cross_correlation", "add", "relu", "adaptive_avg_pool", "cross_correlation"),
        *("sigmoid", "mul", "cat", "max_pool", "reshape", "linear"),
    ]
    assert grouped(where) == {
        "input 0": "input 0",
        "%1": "%1",  # %0 is clamped before it becomes integers
        "%2": "%2",
        "%4": "%4",  # and so is the sum %3
        "%5": "%4",  # means keep the scale
        "%6": "%6",
        "%7": "%7",
        "%8": "%1",  # joined with %1
        "%9": "%1",
        "%10": "%1",
        "%11": "%1",
        "%12": "%12",
    }
    assert sorted(map(str, where.makers)) == sorted("input 0,%1,%2,%4,%6,%7,%8,%12".split(","))
    assert where.weights == ("first.0.weight", "beside.weight", "gate.1.weight", "last.weight")


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family(name):
    steps, where = found(build(name), images(2))
    inner = {f"%{step.number}" for step in steps.steps} - set(grouped(where))
    for step in steps.steps:
        if f"%{step.number}" in inner:
            assert step.op in ("cross_correlation", "linear", "add")
        if step.op in SHARING:
            taken = {grouped(where)[str(source)] for source in step.operands.values() if str(source) in grouped(where)}
            assert taken == {grouped(where)[f"%{step.number}"]}
    convs = [m for m in steps.model.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert len(where.weights) == len(convs)


def test_a_result_that_is_returned_or_used_twice_is_not_left_out():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(1, 2, 3)

        def forward(self, x):
            y = self.conv(x)
            return y.relu(), y

    _, where = found(Twice(), small_images(2))
    assert grouped(where) == {"input 0": "input 0", "%0": "%0", "%1": "%0"}


def test_a_relu_behind_a_pooling_keeps_the_scale():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.MaxPool2d(2), nn.ReLU())
    _, where = found(model, small_images(2))
    assert grouped(where) == {"input 0": "input 0", "%0": "%0", "%1": "%0", "%2": "%0"}
    assert {str(value) for value in where.makers} == {"input 0", "%0"}


def test_the_names_are_those_of_ops():
    assert set(OPS) | set(FUSED) >= SHARING


def test_a_plan_is_a_table_with_a_line_a_value():
    simulated = prepare(everything(), small_images(4))
    simulated(small_images(16))
    plan = simulated.freeze().plan()
    text = str(plan)
    assert len(text.splitlines()) == 12 + 5
    assert re.search(r"%7 +sigmoid +gate\.2 +8 +0\.003906 +-128 +0 to 0\.9961", text)
    assert "weights: 4 arrays, 8 bits" in text
    assert plan._repr_html_().startswith("<details open><summary><b>Everything: 12 quantized values")
    integers = plan.integers()
    assert {name: q.dtype for name, q in integers.items()} == dict.fromkeys(plan.weights, np.int8)
    for name, q in integers.items():
        weight = plan.flow.stored[name].data
        assert np.abs(plan.weights[name].dequantize(q) - weight).max() <= 0.501 * plan.weights[name].scale.max()


def test_values_of_one_group_have_one_quantizer():
    simulated = prepare(everything(), small_images(4))
    simulated(small_images(16))
    by_name = {str(value): q for value, q in simulated.freeze().plan().activations.items()}
    assert by_name["%1"] is by_name["%8"] is by_name["%11"]
    assert by_name["%4"] is by_name["%5"]
    assert by_name["%2"] is not by_name["%6"]
