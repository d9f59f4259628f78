import numpy as np
import pytest

from tinydl import Tensor
from tinydl.compress import structured

IMAGE = (1, 28, 28)


def test_a_plan_prints_what_goes_before_it_goes(small):
    model = small("convnet")
    plan = structured.plan(model, IMAGE, {"0": 0.25}, importance=lambda slices: np.arange(16.0))
    lines = str(plan).splitlines()
    assert lines[0] == f"{plan.macs[0]:,} -> {plan.macs[1]:,} multiply-adds"
    assert lines[1:3] == ["0: 4 of 16 channels go", "  0.weight, axis 0: 0-3 of 16"]
    assert lines[-1] == "  4.weight, axis 1: 0-3 of 16"
    assert plan.removed(plan.found["0"]).tolist() == plan.found["0"].classes[:4].tolist()


def test_masked_takes_any_batch_and_zeroes_behind_every_step(small, image):
    model = small("mobilenet_v3_small")
    plan = structured.plan(model, IMAGE, 0.5)
    (one,), (three,) = plan.masked(image(1, *IMAGE)), plan.masked(Tensor(image(3, *IMAGE)))
    assert (one.shape, three.shape) == ((1, 10), (3, 10))
    everything = structured.plan(model, IMAGE, 0.0)
    assert np.allclose(everything.masked(image(1, *IMAGE))[0], model(Tensor(image(1, *IMAGE))).data, atol=1e-5)
    assert str(everything).count("\n") == 0


def test_a_result_that_is_not_the_masked_one_is_never_returned(small, monkeypatch):
    plan = structured.plan(small("lenetish"), IMAGE, 0.5)
    monkeypatch.setattr(type(plan), "masked", lambda self, *inputs: [np.ones((2, 10), np.float32)])
    with pytest.raises(RuntimeError, match="does not compute what the masked one does"):
        plan.apply()
