import numpy as np
import pytest

from tinydl import nn
from tinydl.compress.distill import Distillation, DistillationLoss, Hint, distill, mean_log_probabilities
from tinydl.data import DataLoader
from tinydl.data.dataset import TensorDataset
from tinydl.gradcheck import gradcheck, gradgradcheck
from tinydl.nn.functional import cross_entropy
from tinydl.optim import SGD, Adam
from tinydl.random import manual_seed
from tinydl.tensor import Tensor
from tinydl.train import evaluate, fit


def numbers(*shape, seed=0, scale=1.0):
    return scale * np.random.default_rng(seed).standard_normal(shape)


def softmax(z):
    e = np.exp(z - z.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


LABELS = np.array([0, 2, 1, 1])


@pytest.mark.parametrize(("temperature", "alpha"), [(1.0, 1.0), (4.0, 0.9), (2.5, 0.3), (20.0, 0.0)])
def test_the_loss_is_the_equation(backend, temperature, alpha):
    z, v = numbers(4, 3), numbers(4, 3, seed=1, scale=3)
    p, q = softmax(z / temperature), softmax(v / temperature)
    soft = np.sum(q * (np.log(q) - np.log(p)), axis=1).mean()
    hard = -np.log(softmax(z)[np.arange(4), LABELS]).mean()
    found = DistillationLoss(temperature, alpha)(Tensor(z), Tensor(v), Tensor(LABELS)).item()
    assert found == pytest.approx(alpha * temperature**2 * soft + (1 - alpha) * hard, rel=1e-12)


def test_several_teachers_say_the_mean_of_their_probabilities(backend):
    vs = [numbers(4, 3, seed=i, scale=3) for i in (1, 2, 3)]
    q = np.mean([softmax(v) for v in vs], axis=0)
    assert np.allclose(np.exp(mean_log_probabilities([Tensor(v) for v in vs]).data), q, rtol=1e-12)
    z, loss = Tensor(numbers(4, 3)), DistillationLoss(2.0, 1.0)
    q = np.mean([softmax(v / 2) for v in vs], axis=0)
    together = loss(z, [Tensor(v) for v in vs], Tensor(LABELS)).item()
    assert together == pytest.approx(loss(z, Tensor(2 * np.log(q)), Tensor(LABELS)).item(), rel=1e-9)


def test_gradients(backend):
    v, loss = Tensor(numbers(4, 3, seed=1)), DistillationLoss(3.0, 0.7)
    z = Tensor(numbers(4, 3), requires_grad=True)
    assert gradcheck(lambda x: loss(x, [v, 2 * v], Tensor(LABELS)), [z])
    assert gradgradcheck(lambda x: loss(x, v, Tensor(LABELS)), [z])


def test_the_gradient_at_high_temperature_is_that_of_matched_logits():
    """Hinton et al. 2015, equation 4: with zero-mean logits dL/dz → (z − v) / C, here a mean over N rows."""
    z, v = (a - a.mean(1, keepdims=True) for a in (numbers(4, 3), numbers(4, 3, seed=1)))
    student = Tensor(z, requires_grad=True)
    DistillationLoss(1e4, 1.0)(student, Tensor(v), Tensor(LABELS)).backward()
    assert np.allclose(student.grad.data, (z - v) / (3 * 4), atol=1e-4)


def test_huge_logits_stay_finite():
    z = Tensor(np.array([[1e4, -1e4, 0.0]], np.float32), requires_grad=True)
    loss = DistillationLoss(1.0, 0.5)(z, [Tensor(-z.data), Tensor(z.data)], Tensor([0]))
    loss.backward()
    assert np.isfinite(loss.item())
    assert np.isfinite(z.grad.data).all()


def test_the_teacher_gets_no_gradient():
    v = Tensor(numbers(4, 3, seed=1), requires_grad=True)
    z = Tensor(numbers(4, 3), requires_grad=True)
    DistillationLoss()(z, v, Tensor(LABELS)).backward()
    assert v.grad is None
    assert z.grad is not None


def conv(width, seed=0):
    manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(1, width, 3),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Flatten(),
        nn.Linear(16 * width, 3),
    )


def loader(n=60):
    x = numbers(n, 1, 6, 6).astype(np.float32)
    labels = (x[:, 0, :3].sum((1, 2)) > 0).astype(np.int64)
    return DataLoader(TensorDataset(x, labels), 20)


def test_the_teacher_runs_in_evaluation_mode_and_stays_as_it_was():
    student, teacher = conv(2), conv(5, seed=1).train()
    before = {name: value.data.copy() for name, value in teacher.state_dict().items()}
    distill(student, teacher, loader(), epochs=1)
    assert teacher.training
    assert all(np.array_equal(before[name], value.data) for name, value in teacher.state_dict().items())
    assert all(p.grad is None for p in teacher.parameters())
    x = next(iter(loader()))[0]
    taught = Distillation(student, teacher)
    taught(x)
    assert np.allclose(taught._said[0].data, teacher.eval()(x).data, atol=1e-6)


def test_parameters_are_the_students_and_the_regressors():
    student, teacher = conv(2), conv(5, seed=1)
    taught = Distillation(student, [teacher, conv(5)], hints=[Hint("2", "2", 0.5)], example=next(iter(loader()))[0])
    names = [name for name, _ in taught.named_parameters()]
    assert names[-2:] == ["regressors.0.weight", "regressors.0.bias"]
    assert len(names) == 2 + sum(1 for _ in student.parameters())
    assert taught.regressors[0].weight.shape == (5, 2, 1, 1)


def test_the_hint_term_is_the_mean_squared_difference_of_the_layers():
    student, teacher = conv(5), conv(5, seed=1)
    x, t = next(iter(loader()))
    plain = DistillationLoss(alpha=0.0)
    taught = Distillation(student.eval(), teacher.eval(), plain, [Hint("2", "2", 0.25)], x)
    taught.regressors[0].weight.data[...] = np.eye(5).reshape(5, 5, 1, 1)
    taught.regressors[0].bias.data[...] = 0
    y = taught(x)
    difference = student[:3](x).data - teacher[:3](x).data
    expected = cross_entropy(y, t).item() + 0.25 * np.mean(difference**2)
    assert taught.loss(y, t).item() == pytest.approx(expected, rel=1e-5)
    taught.loss(y, t).backward()
    assert taught.regressors[0].weight.grad is not None
    assert not student[2]._hooks


def test_hints_bring_the_layers_together():
    student, teacher = conv(2), conv(5, seed=1)
    x, t = next(iter(loader()))
    taught = Distillation(student, teacher, DistillationLoss(alpha=0.0), [Hint("2", "2", 10.0)], x)
    optimizer = Adam(taught.parameters(), 0.02)

    def gap():
        with_hint = taught.loss(taught(x), t).item()
        return with_hint - cross_entropy(student(x), t).item()

    student.eval()
    before = gap()
    fit(taught, loader(), epochs=10, optimizer=optimizer, loss=taught.loss)
    student.eval()
    assert gap() < 0.8 * before


def test_a_student_learns_from_the_teacher_alone():
    teacher, student = conv(8), conv(4, seed=1)
    fit(teacher, loader(), epochs=20, optimizer=Adam(teacher.parameters(), 0.01))
    history = distill(
        student,
        teacher,
        loader(),
        loss=DistillationLoss(alpha=1.0),
        epochs=20,
        validation=loader(),
        optimizer=Adam(student.parameters(), 0.01),
    )
    assert history[-1]["validation_accuracy"] == evaluate(student, loader()).accuracy > 0.9
    assert history[-1]["validation_loss"] < 0.5 * history[0]["validation_loss"]


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: DistillationLoss(temperature=0.0), r"temperature must be in \(0, inf\)"),
        (lambda: DistillationLoss(alpha=1.5), "alpha must be in"),
        (
            lambda: DistillationLoss()(Tensor(numbers(4, 3)), Tensor(numbers(4, 2)), LABELS),
            r"teacher must .* got \[\(4, 2\)\]",
        ),
        (lambda: DistillationLoss()(Tensor(numbers(4, 3)), [], LABELS), "teacher must be logits"),
        (lambda: Hint("a", "b", 0.0), "weight must be in"),
        (lambda: Distillation(conv(2), []), "teacher must be one or more"),
        (lambda: Distillation(conv(2), conv(5), hints=[Hint("2", "2")]), "example must be a batch"),
        (lambda: hinted("4", "2"), r"hints: '4' has the shape \(20, 32\)"),
        (lambda: hinted("nowhere", "2"), "no module 'nowhere'"),
        (lambda: distill(conv(2), conv(5), loader(), epochs=0), "epochs must be at least 1"),
    ],
)
def test_refuses_by_name(build, message):
    with pytest.raises((AttributeError, ValueError), match=message):
        build()


def hinted(student, teacher):
    return Distillation(conv(2), conv(5), hints=[Hint(student, teacher)], example=next(iter(loader()))[0])


def test_a_student_cannot_teach_itself():
    model = conv(2)
    with pytest.raises(ValueError, match="other than the student"):
        Distillation(model, model)


def test_an_optimizer_without_the_regressors_is_refused():
    student = conv(2)
    with pytest.raises(ValueError, match="optimizer must hold the regressors' parameters"):
        distill(student, conv(5), loader(), hints=[Hint("2", "2")], optimizer=SGD(student.parameters(), 0.1))
