import contextlib
import inspect
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

import tinydl
from tinydl import kernels
from tinydl.kernels import reference

X = np.array([-1.0, 2.0])


def _module(backend: str, family: str):
    return import_module(f"tinydl.kernels.{backend}.{family}")


@pytest.mark.parametrize("family", kernels.FAMILIES)
def test_compiled_twins_have_the_names_and_signatures_of_the_reference(family: str) -> None:
    pytest.importorskip("numba")
    plain, fast = _module("reference", family), _module("compiled", family)
    assert set(fast.__all__) <= set(plain.__all__)
    for name in fast.__all__:
        assert getattr(fast, name) is not getattr(plain, name)
        assert inspect.signature(getattr(fast, name)) == inspect.signature(getattr(plain, name))


def test_no_two_families_export_the_same_name() -> None:
    names = [name for family in kernels.FAMILIES for name in _module("reference", family).__all__]
    assert len(names) == len(set(names))


def test_every_reference_file_with_kernels_is_a_family() -> None:
    files = {path.stem for path in Path(reference.__file__).parent.glob("*.py")} - {"__init__", "windows"}
    assert files == set(kernels.FAMILIES)


def test_use_switches_and_the_context_manager_restores() -> None:
    pytest.importorskip("numba")
    plain, fast = _module("reference", "elementwise").relu, _module("compiled", "elementwise").relu
    with kernels.use("reference"):
        assert kernels.active() == "reference"
        assert kernels.relu is plain
        with kernels.use("compiled"):
            assert kernels.active() == "compiled"
            assert kernels.relu is fast
        assert kernels.relu is plain
        with contextlib.suppress(KeyError), kernels.use("compiled"):
            raise KeyError
        assert kernels.relu is plain
        kernels.use("compiled")
        assert kernels.relu is fast


def test_a_kernel_is_bound_by_its_first_use_and_unknown_names_are_refused() -> None:
    with kernels.use("reference"):
        assert "relu" not in vars(kernels)
        kernels.relu(X)
        assert "relu" in vars(kernels)
        with pytest.raises(AttributeError, match="no attribute 'rleu'"):
            kernels.rleu  # type: ignore[attr-defined]  # noqa: B018


def test_an_unknown_backend_is_refused_and_nothing_changes() -> None:
    before = kernels.active()
    with pytest.raises(ValueError, match=r'"auto", "reference" or "compiled", got \'cuda\''):
        kernels.use("cuda")
    assert kernels.active() == before


def test_without_numba_auto_means_reference() -> None:
    with kernels.use("reference"), pytest.MonkeyPatch.context() as patch:  # Numba is back before the switch is
        patch.setitem(sys.modules, "numba", None)
        kernels.use("auto")
        assert kernels.active() == "reference"
        np.testing.assert_array_equal(kernels.relu(X), [0, 2])
        with pytest.raises(ImportError, match='"compiled" needs Numba'):
            kernels.use("compiled")
        assert kernels.active() == "reference"


def test_a_numba_that_cannot_be_imported_is_a_warning_unless_it_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(backend: str) -> None:
        raise ImportError("Numba needs NumPy 2.0 or less")

    with kernels.use("reference"):
        monkeypatch.setattr(kernels, "_kernels_of", broken)
        monkeypatch.setattr(kernels, "find_spec", lambda name: object())
        kernels.use("compiled")
        with pytest.raises(ImportError, match="Numba needs NumPy"):
            kernels.relu(X)
        kernels.use("auto")
        with pytest.warns(RuntimeWarning, match="slow reference kernels are in use: Numba needs"):
            np.testing.assert_array_equal(kernels.relu(X), [0, 2])
        assert kernels.active() == "reference"
        np.testing.assert_array_equal(kernels.relu(X), [0, 2])


@pytest.mark.parametrize("value, numba_loads", [("reference", False), ("auto", True)])
def test_numba_is_imported_by_the_first_kernel_and_not_before(value: str, numba_loads: bool) -> None:
    pytest.importorskip("numba")
    code = (
        "import sys, numpy; from tinydl import kernels; assert 'numba' not in sys.modules;"
        f"kernels.relu(numpy.ones(3)); assert ('numba' in sys.modules) == {numba_loads}"
    )
    environment = os.environ | {"TINYDL_KERNELS": value, "PYTHONPATH": str(Path(tinydl.__file__).parents[1])}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)


def test_a_wrong_environment_variable_is_named() -> None:
    environment = os.environ | {"TINYDL_KERNELS": "fast", "PYTHONPATH": str(Path(tinydl.__file__).parents[1])}
    ended = subprocess.run([sys.executable, "-c", "import tinydl.kernels"], env=environment, capture_output=True)
    assert b"TINYDL_KERNELS must be" in ended.stderr
