import pytest

from tinydl.nn import fusion


@pytest.fixture
def calls(monkeypatch):
    """Count the fused kernels that run."""
    seen = []
    for name in ("conv2d_clamped", "linear_clamped", "linear_chain", "conv_max_pool"):
        kernel = getattr(fusion, name)
        call = lambda *args, name=name, kernel=kernel: seen.append(name) or kernel(*args)  # noqa: E731
        monkeypatch.setattr(fusion, name, call)
    return seen
