import numpy as np
import pytest

from tinydl import nn, ops
from tinydl.tensor import Tensor

rng = np.random.default_rng(0)
LOGITS, TARGET, SOFT = rng.standard_normal((6, 3)), np.array([0, 2, 1, 1, 0, 2]), rng.dirichlet([1.0, 1, 1], 6)
WEIGHT = np.array([1.0, 2.0, 0.5])
LOGP = LOGITS - np.log(np.exp(LOGITS).sum(1, keepdims=True))


def softplus(v):
    return np.log1p(np.exp(v))


PICKED = -LOGP[np.arange(6), TARGET] * WEIGHT[TARGET]
KEPT = TARGET != 1
HUBER = np.abs(LOGITS - SOFT)

EACH = [
    (nn.CrossEntropyLoss, {"weight": WEIGHT}, TARGET, PICKED, WEIGHT[TARGET].sum()),
    (nn.CrossEntropyLoss, {"ignore_index": 1}, TARGET, -LOGP[np.arange(6), TARGET] * KEPT, 4),
    (nn.CrossEntropyLoss, {"label_smoothing": 0.3}, SOFT, -(LOGP * (0.7 * SOFT + 0.1)).sum(1), 6),
    (nn.MSELoss, {}, SOFT, (LOGITS - SOFT) ** 2, 18),
    (nn.L1Loss, {}, SOFT, np.abs(LOGITS - SOFT), 18),
    (nn.SmoothL1Loss, {"beta": 0.4}, SOFT, np.where(HUBER < 0.4, HUBER**2 / 0.8, HUBER - 0.2), 18),
    (
        nn.BCEWithLogitsLoss,
        {"weight": WEIGHT, "pos_weight": 2 * WEIGHT},
        SOFT,
        WEIGHT * (2 * WEIGHT * SOFT * softplus(-LOGITS) + (1 - SOFT) * softplus(LOGITS)),
        18,
    ),
    (nn.KLDivLoss, {}, SOFT, SOFT * (np.log(SOFT) - LOGITS), 18),
    (nn.KLDivLoss, {"log_target": True}, LOGP, np.exp(LOGP) * (LOGP - LOGITS), 18),
]


@pytest.mark.parametrize("kind, settings, target, losses, count", EACH)
def test_values_in_every_reduction(kind, settings, target, losses, count):
    np.testing.assert_allclose(
        kind(**settings, reduction="none").double()(Tensor(LOGITS), target).data, losses, atol=1e-12
    )
    np.testing.assert_allclose(kind(**settings, reduction="sum").double()(Tensor(LOGITS), target).item(), losses.sum())
    np.testing.assert_allclose(kind(**settings).double()(Tensor(LOGITS), target).item(), losses.sum() / count)


def test_nll_is_the_rest_of_cross_entropy():
    for settings in ({}, {"weight": WEIGHT, "reduction": "sum"}, {"ignore_index": 2}):
        expected = nn.CrossEntropyLoss(**settings).double()(Tensor(LOGITS), TARGET).item()
        assert nn.NLLLoss(**settings).double()(Tensor(LOGP), TARGET).item() == pytest.approx(expected)


def test_batchmean_is_the_divergence():
    value = nn.KLDivLoss("batchmean")(Tensor(LOGP), SOFT).item()
    assert value == pytest.approx((SOFT * (np.log(SOFT) - LOGP)).sum() / 6)


@pytest.mark.parametrize("kind, settings, target, losses, count", EACH)
def test_gradients_flow_and_float32_stays(kind, settings, target, losses, count):
    settings = {k: v.astype(np.float32) if isinstance(v, np.ndarray) else v for k, v in settings.items()}
    x = Tensor(LOGITS.astype(np.float32), requires_grad=True)
    target = target.astype(np.float32) if target.dtype.kind == "f" else target
    loss = kind(**settings)(x, Tensor(target))
    loss.backward()
    assert loss.dtype == x.grad.dtype == np.float32
    assert loss.shape == ()
    assert x.grad.data.any()


def test_weights_are_buffers():
    loss = nn.BCEWithLogitsLoss(weight=WEIGHT, pos_weight=[1.0, 2.0, 3.0])
    assert list(loss.state_dict()) == ["weight", "pos_weight"]
    assert not list(loss.parameters())
    assert loss.float().weight.dtype == np.float32
    assert not nn.CrossEntropyLoss().state_dict()


def test_logits_of_ten_thousand():
    x = Tensor(np.array([[1e4, -1e4], [-1e4, 1e4]], np.float32), requires_grad=True)
    loss = nn.CrossEntropyLoss()(x, np.array([0, 0]))
    loss.backward()
    assert loss.item() == 1e4
    assert x.grad.tolist() == [[0, 0], [-0.5, 0.5]]


@pytest.mark.parametrize("target", [np.array([0, 1, 2, 3, 0, 0]), np.array([0, 1, 2, -1, 0, 0])])
def test_bad_labels_are_refused(target):
    for loss in (nn.CrossEntropyLoss(), nn.NLLLoss()):
        with pytest.raises(IndexError, match="target must lie in 0…2"):
            loss(Tensor(LOGITS), target)


NAN = float("nan")


@pytest.mark.parametrize(
    "make, name",
    [
        *((lambda kind=kind: kind(reduction="average"), "reduction") for kind in {case[0] for case in EACH}),
        (lambda: nn.MSELoss(reduction="batchmean"), "reduction"),
        (lambda: nn.CrossEntropyLoss(label_smoothing=NAN), "label_smoothing"),
        (lambda: nn.CrossEntropyLoss(label_smoothing=1.5), "label_smoothing"),
        (lambda: nn.SmoothL1Loss(beta=-1.0), "beta"),
        (lambda: nn.SmoothL1Loss(beta=NAN), "beta"),
    ],
)
def test_bad_settings_are_named(make, name):
    with pytest.raises(ValueError, match=name):
        make()


def test_layers_and_functions_agree_by_default():
    assert nn.CrossEntropyLoss()(Tensor(LOGITS), TARGET).item() == ops.cross_entropy(Tensor(LOGITS), TARGET).item()
