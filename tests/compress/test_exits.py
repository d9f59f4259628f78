import numpy as np
import pytest

from tinydl import nn
from tinydl.compress.exits import EarlyExit, confidence, exit_curve, exit_head
from tinydl.cost import summary
from tinydl.data import DataLoader
from tinydl.data.dataset import TensorDataset
from tinydl.nn.functional import cross_entropy
from tinydl.optim import Adam
from tinydl.random import manual_seed
from tinydl.tensor import Tensor
from tinydl.train import evaluate, evaluating, fit


def network():
    manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3),
        nn.ReLU(),
        nn.Conv2d(4, 6, 3),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(24, 3),
    )


def model(**settings):
    net = EarlyExit(network(), {"1": exit_head(4, 3), "4": exit_head(6, 3)}, **settings)
    for head, opinionated in zip(net.heads, (5, 20)):
        head[2].weight.data *= opinionated
    return net


def images(n=40):
    return np.random.default_rng(0).standard_normal((n, 1, 6, 6)).astype(np.float32)


def loader(n=40):
    x = images(n)
    return DataLoader(TensorDataset(x, (x[:, 0, :3].sum((1, 2)) > 0).astype(np.int64)), 16)


def test_confidence_is_the_equation(backend):
    z = np.random.default_rng(0).standard_normal((5, 4))
    p = np.exp(z) / np.exp(z).sum(1, keepdims=True)
    assert np.allclose(confidence(Tensor(z)), p.max(1))
    assert np.allclose(confidence(Tensor(z), "entropy"), 1 + np.sum(p * np.log(p), 1) / np.log(4))
    sure = Tensor(np.array([[1e4, 0, 0]], np.float32))
    assert confidence(sure, "entropy") == 1
    assert confidence(Tensor(np.zeros((2, 3))), "entropy") == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("by", ["probability", "entropy"])
def test_each_row_answers_at_the_first_exit_that_is_sure(backend, by):
    net = model(by=by).eval()
    x = Tensor(images())
    exits = [y.data for y in net.every_exit(x)]
    sure = np.stack([confidence(Tensor(y), by) for y in exits])
    net.threshold = float(np.quantile(sure[:2], 0.6))
    sure[-1] = 2
    expected = np.argmax(sure >= net.threshold, axis=0)
    with evaluating(net):
        answers, left = net.route(x)
        assert np.array_equal(left, expected)
        assert len(set(left)) == 3
        rows = np.stack([exits[e][i] for i, e in enumerate(expected)])
        assert np.allclose(answers.data, rows, atol=1e-5)
        assert np.array_equal(net(x).data, answers.data)


def test_only_the_undecided_rows_go_on():
    net = model(threshold=0.8).eval()
    batches = []
    net.network[6].register_forward_hook(lambda module, args, y: batches.append(len(y)))
    with evaluating(net):
        _, left = net.route(images())
    assert batches == [np.sum(left == 2)]
    assert 0 < batches[0] < 40


@pytest.mark.parametrize(("threshold", "exit"), [(0.0, 0), (1.5, 2)])
def test_all_leave_at_once_or_none_early(threshold, exit):
    net = model(threshold=threshold).eval()
    with evaluating(net):
        answers, left = net.route(images())
        assert set(left) == {exit}
        assert np.allclose(answers.data, net.every_exit(Tensor(images()))[exit].data, atol=1e-6)


def test_an_empty_batch_gives_an_empty_answer():
    net = model().eval()
    with evaluating(net):
        assert net(images()[:0]).shape == (0, 3)


def test_training_gives_all_exits_and_their_weighted_loss():
    net = model(weights=[0.5, 0.0, 2.0])
    x, t = next(iter(loader()))
    y = net(x)
    assert y.shape == (3, 16, 3)
    terms = [cross_entropy(Tensor(y.data[e]), t).item() for e in range(3)]
    assert net.loss(y, t).item() == pytest.approx(0.5 * terms[0] + 2 * terms[2], rel=1e-6)
    net.loss(y, t).backward()
    assert all(p.grad is not None for p in net.parameters())


def test_fit_trains_all_exits():
    net = model(threshold=0.8)
    history = fit(net, loader(), epochs=30, validation=loader(), optimizer=Adam(net.parameters(), 0.02), loss=net.loss)
    assert history[-1]["validation_accuracy"] > 0.9
    assert history[-1]["validation_accuracy"] == evaluate(net, loader()).accuracy


def test_the_curve_is_what_routing_does():
    net = model()
    thresholds = [0.0, 0.6, 0.8, 1.1]
    curve = exit_curve(net, loader(), thresholds)
    costs = net.macs((1, 6, 6))
    assert net.training
    for point, threshold in zip(curve, thresholds):
        net.threshold = threshold
        with evaluating(net):
            _, left = net.route(images())
        assert point.shares == tuple(np.bincount(left, minlength=3) / 40)
        assert point.macs == pytest.approx(np.mean([costs[e] for e in left]))
        assert point.accuracy == pytest.approx(evaluate(net, loader(), net.loss).accuracy)
    assert curve[0].macs == costs[0]
    assert curve[-1].macs == costs[2]


def test_macs_add_up_with_the_heads_passed():
    net = model()
    whole = summary(network(), (1, 6, 6)).macs
    first = 4 * 4 * 4 * 9
    assert net.macs((1, 6, 6)) == (first + 12, first + 12 + 4 * 6 * 4 * 9 + 18, whole + 12 + 18)


def test_the_network_keeps_its_layers():
    net = network()
    wrapped = EarlyExit(net, {"1": exit_head(4, 3)})
    assert wrapped.network is net
    assert [name for name, _ in wrapped.named_parameters()][:2] == ["network.0.weight", "network.0.bias"]


class Own(nn.Sequential):
    def forward(self, input):
        return super().forward(input)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: EarlyExit(Own(nn.ReLU(), nn.ReLU()), {"0": nn.ReLU()}), "network must be a Sequential, got Own"),
        (lambda: EarlyExit(network(), {}), "heads must be for some of"),
        (lambda: EarlyExit(network(), {"6": exit_head(3, 3)}), "heads must be for some of 0, 1"),
        (lambda: EarlyExit(network(), {"4": nn.ReLU(), "1": nn.ReLU()}), "in this order; got"),
        (lambda: model(threshold=float("nan")), "threshold must be in"),
        (lambda: model(by="margin"), "by must be one of"),
        (lambda: model(weights=[1, 1]), "weights must be 3 numbers"),
        (lambda: model(weights=[1, 1, -1]), "weights must be in"),
        (lambda: exit_curve(model(), loader(), []), "thresholds must be one or more"),
        (lambda: exit_curve(model(), [], [0.5]), "data must yield"),
    ],
)
def test_refuses_by_name(build, message):
    with pytest.raises((TypeError, ValueError), match=message):
        build()
