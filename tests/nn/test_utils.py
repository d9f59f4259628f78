import numpy as np
import pytest

from tinydl import nn
from tinydl.nn.utils import clip_grad_norm_, clip_grad_value_, parameters_to_vector, vector_to_parameters
from tinydl.tensor import Tensor

rng = np.random.default_rng(0)


def parameters(*gradients):
    """Return Parameters with these gradients (None: none)."""
    made = [nn.Parameter(np.zeros(3 if g is None else np.shape(g), np.float32)) for g in gradients]
    for p, g in zip(made, gradients):
        p.grad = None if g is None else Tensor(np.array(g, np.float32))
    return made


def gradients(listed):
    return np.concatenate([p.grad.data.ravel() for p in listed if p.grad is not None])


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0, np.inf])
def test_clip_grad_norm(p):
    listed = parameters(rng.standard_normal((4, 3)), None, rng.standard_normal(5))
    before = gradients(listed)
    norm = np.linalg.norm(before, p)
    total = clip_grad_norm_(listed, norm / 3, p)
    assert total.item() == pytest.approx(norm, rel=1e-6)
    assert total.dtype == np.float32
    np.testing.assert_allclose(gradients(listed), before / 3, rtol=1e-5)
    after = gradients(listed)
    clip_grad_norm_(listed, norm, p)
    np.testing.assert_array_equal(gradients(listed), after)


def test_clipping_takes_generators_single_tensors_and_nothing():
    model = nn.Linear(2, 2)
    model(np.ones((1, 2), np.float32)).sum().backward()
    assert clip_grad_norm_(model.parameters(), 1.0).item() == pytest.approx(6**0.5)
    assert np.linalg.norm(gradients(model.parameters())) == pytest.approx(1.0, rel=1e-5)
    assert clip_grad_norm_(parameters([3.0, 4.0])[0], 10.0).item() == 5
    assert clip_grad_norm_(parameters(None), 1.0).item() == 0
    assert clip_grad_norm_([], 1.0).item() == 0


def test_norms_that_are_not_finite():
    for bad in (np.nan, np.inf):
        listed = parameters([1.0, 2.0], [bad])
        with pytest.raises(RuntimeError, match="error_if_nonfinite"):
            clip_grad_norm_(listed, 1.0, error_if_nonfinite=True)
        np.testing.assert_array_equal(gradients(listed), np.array([1, 2, bad], np.float32))
    assert clip_grad_norm_(listed, 1.0).item() == np.inf
    np.testing.assert_array_equal(gradients(listed), [0, 0, np.nan])
    listed = parameters([1.0, 2.0], [np.nan])
    assert np.isnan(clip_grad_norm_(listed, 1.0).item())
    assert np.isnan(gradients(listed)).all()


def test_clipping_is_a_change_that_the_version_shows():
    (p,) = parameters([3.0, 4.0])
    x = Tensor(np.ones(2, np.float32), requires_grad=True)
    y = (x * p.grad).sum()
    clip_grad_norm_(p, 1.0)
    with pytest.raises(RuntimeError, match="changed in place"):
        y.backward()


def test_clip_grad_value():
    listed = parameters([3.0, -0.5], None, [-7.0, np.nan, np.inf])
    clip_grad_value_(listed, 1.0)
    np.testing.assert_array_equal(gradients(listed), np.array([1, -0.5, -1, np.nan, 1], np.float32))


@pytest.mark.parametrize("value", [-1.0, float("nan")])
def test_bad_arguments_are_named(value):
    listed = parameters([3.0])
    for name, call in (
        ("max_norm", lambda: clip_grad_norm_(listed, value)),
        ("norm_type", lambda: clip_grad_norm_(listed, 1.0, value)),
        ("clip_value", lambda: clip_grad_value_(listed, value)),
    ):
        with pytest.raises(ValueError, match=name):
            call()
    assert gradients(listed) == [3]


def test_vectors_and_back():
    model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    vector = parameters_to_vector(model.parameters())
    assert vector.shape == (13,)
    np.testing.assert_array_equal(vector.data[:6], model[0].weight.data.ravel())
    (vector * vector).sum().backward()
    np.testing.assert_allclose(model[1].weight.grad.data, 2 * model[1].weight.data)
    other = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    vector_to_parameters(vector, other.parameters())
    for (name, a), b in zip(model.named_parameters(), other.parameters()):
        np.testing.assert_array_equal(a.data, b.data, name)
    vector.data[...] = 0
    assert other[0].weight.data.any()


@pytest.mark.parametrize("shape", [(12,), (14,), (13, 1)])
def test_a_vector_of_another_length_changes_nothing(shape):
    model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    before = parameters_to_vector(model.parameters()).data
    with pytest.raises(ValueError, match=r"vec must have shape \(13,\)"):
        vector_to_parameters(Tensor(np.zeros(shape, np.float32)), model.parameters())
    np.testing.assert_array_equal(parameters_to_vector(model.parameters()).data, before)


def test_gradients_of_pruned_weights_do_not_count_in_the_norm():
    (p,) = parameters([3.0, 4.0, 12.0])
    p.mask = [True, True, False]
    assert clip_grad_norm_([p], 1.0).item() == 5


def test_a_vector_goes_through_the_masks():
    p = nn.Parameter(np.ones(3, np.float32))
    p.mask = [True, False, True]
    vector_to_parameters(Tensor([5.0, 6.0, 7.0]), [p])
    assert p.tolist() == [5, 0, 7]
