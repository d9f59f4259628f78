import pytest

from tinydl import Tensor, nn
from tinydl.cost.calls import Call, Calls, tensors


def hooks_of(model):
    return [h for m in model.modules() if m._hooks for h in (*m._hooks.before.values(), *m._hooks.after.values())]


class Twice(nn.Module):
    def __init__(self):
        self.inner = nn.Sequential(nn.ReLU())

    def forward(self, x):
        return self.inner(x), self.inner(x)


def test_calls_end_inside_out_and_each_call_is_noted():
    model, calls = Twice(), Calls(Call)
    with calls.of(model):
        model(Tensor([1.0]))
    assert [call.name for call in calls.ended] == ["inner.0", "inner", "inner.0", "inner", "Twice"]
    assert [call.kind for call in calls.ended] == ["ReLU", "Sequential", "ReLU", "Sequential", "Twice"]
    assert calls.ended[0] is not calls.ended[2]
    assert not calls.running


def test_the_innermost_call_is_current_and_sees_the_output():
    running, outputs = [], []

    class Noting(Call):
        def finish(self, output):
            outputs.append((self.name, output.item()))

    class Net(nn.Module):
        def __init__(self):
            self.a = nn.ReLU()

        def forward(self, x):
            running.append(calls.current.name)
            x = self.a(x)
            running.append(calls.current.name)
            return x + 1.0

    model, calls = Net(), Calls(Noting)
    model.a.register_forward_hook(lambda m, args, y: running.append(calls.current.name))
    with calls.of(model):
        model(Tensor(-1.0))
    assert running == ["Net", "a", "Net"]
    assert outputs == [("a", 0.0), ("Net", 1.0)]


def test_no_hook_stays_behind_even_after_an_error():
    model = Twice()
    with Calls(Call).of(model):
        assert len(hooks_of(model)) == 6
    assert not hooks_of(model)
    with pytest.raises((AttributeError, TypeError)), Calls(Call).of(model):
        model(None)
    assert not hooks_of(model)
    assert all(module._hooks is None for module in model.modules()), "calls are as short as before"


def test_other_hooks_stay():
    model, seen = Twice(), []
    model.inner.register_forward_hook(lambda *call: seen.append(call))
    calls = Calls(Call)
    with calls.of(model):
        model.register_forward_pre_hook(lambda *call: seen.append(call))
        model(Tensor(1.0))
    model(Tensor(1.0))
    assert len(seen) == 6
    assert len(calls.ended) == 5


def test_tensors_of_any_output():
    a, b = Tensor(1.0), Tensor(2.0)
    assert tensors(a) == [a]
    assert all(x is y for x, y in zip(tensors(({"x": a}, [b, None, 3])), (a, b)))
    assert tensors("text") == tensors(None) == []
