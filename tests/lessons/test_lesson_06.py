"""Lesson 6's checks tell right answers from wrong ones, and say what is wrong."""

import numpy as np
import pytest

from tinydl import no_grad
from tinydl.data import SyntheticDigits
from tinydl.lessons import check, solution
from tinydl.lessons.lesson_06 import _ACCURACY_MISTAKES, _BATCH_MISTAKES, _LOOP_MISTAKES
from tinydl.lessons.pictures.lesson_06 import learning_curves, stencils
from tinydl.nn.functional import cross_entropy

IDS = "06.1", "06.2", "06.3"
MISTAKES = [
    (id, likely, mistake)
    for id, table in zip(IDS, (_BATCH_MISTAKES, _LOOP_MISTAKES, _ACCURACY_MISTAKES))
    for likely, mistake in table.items()
]


@pytest.mark.parametrize("id", IDS)
def test_the_solution_is_right_and_the_stub_is_not_attempted(id):
    assert check(id, solution(id).value).status == "right"
    assert check(id, lambda *arguments: ...).status == "not attempted"


@pytest.mark.parametrize("id", IDS)
def test_an_error_is_wrong(id):
    def fails(*arguments):
        return 1 / 0

    assert "ZeroDivisionError" in repr(check(id, fails))
    assert check(id, fails).status == "wrong"
    assert check(id, lambda: 1).status == "wrong"
    assert check(id, 3).status == "wrong"


@pytest.mark.parametrize("id", IDS)
def test_a_missing_return_is_said(id):
    assert "`return` missing" in repr(check(id, lambda *arguments: None))


@pytest.mark.parametrize("id, likely, mistake", MISTAKES, ids=range(len(MISTAKES)))
def test_mistakes_are_recognised(id, likely, mistake):
    verdict = check(id, mistake)
    assert verdict.status == "wrong"
    assert dict(verdict.details)["likely"] == likely


def test_other_right_batches():
    def in_place(rows, size, rng):
        order = np.arange(rows)
        rng.shuffle(order)
        for start in range(0, rows, size):
            yield order[start : start + size].tolist()

    assert check("06.1", in_place).status == "right"


@pytest.mark.parametrize("answer", [lambda rows, size, rng: rng.permutation(rows), lambda rows, size, rng: 7])
def test_what_is_no_list_of_batches_is_wrong(answer):
    assert check("06.1", answer).status == "wrong"


def test_clearing_at_the_end_and_steps_by_hand_are_right():
    def clears_last(model, optimizer, loader):
        losses = []
        for x, y in loader:
            loss = cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            losses.append(float(loss.item()))
        return tuple(losses)

    assert check("06.2", clears_last).status == "right"


def test_losses_that_hold_on_to_their_graph_are_wrong():
    def tensors(model, optimizer, loader):
        losses = []
        for x, y in loader:
            losses.append(cross_entropy(model(x), y))
            optimizer.zero_grad()
            losses[-1].backward()
            optimizer.step()
        return losses

    assert "append loss.item()" in repr(check("06.2", tensors))


def test_zeroing_between_backward_and_step_is_recognised():
    def zeroes(model, optimizer, loader):
        losses = []
        for x, y in loader:
            loss = cross_entropy(model(x), y)
            loss.backward()
            optimizer.zero_grad()
            optimizer.step()
            losses.append(loss.item())
        return losses

    assert "the weights never move" in repr(check("06.2", zeroes))


def test_an_accuracy_that_records_is_wrong():
    def records(model, loader):
        pairs = [(model(x).argmax(1).numpy(), y.numpy()) for x, y in loader]
        return np.mean(np.concatenate([answers == y for answers, y in pairs]))

    def does_not(model, loader):
        with no_grad():
            return records(model, loader)

    assert "no_grad" in repr(check("06.3", records))
    assert check("06.3", does_not).status == "right"


def test_the_stencils_are_learnt():
    axes = stencils.__wrapped__(SyntheticDigits(1_000))
    axes[0].figure.draw_without_rendering()
    first, last = (np.stack([ax.images[0].get_array() for ax in axes[i : i + 10]]) for i in (0, 20))
    assert len(axes) == 30
    assert np.ptp(last[:, 8:20, 8:20]) > 2 * np.ptp(first)  # where ink may be
    assert np.abs(last - first).max() > 5 * np.abs(last - first)[:, 0, 0].max()  # and hardly in a corner


def test_the_learning_curves():
    ax = learning_curves.__wrapped__({"training": [0.5, 0.75], "validation": [0.25, 0.5]})
    ax.figure.draw_without_rendering()
    assert [list(line.get_ydata()) for line in ax.lines] == [[50.0, 75.0], [25.0, 50.0]]
    assert [text.get_text() for text in ax.texts] == ["training", "validation"]
