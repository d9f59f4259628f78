"""Compiled kernels are kept where they can be written and trusted, under a name that stands for all that makes them."""

import os
import shutil
from pathlib import Path

import pytest

pytest.importorskip("numba")
from tinydl.kernels.compiled import folder, jit


def test_without_any_folder_kernels_still_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder, "_cache_roots", lambda: iter([tmp_path / "file"]))
    (tmp_path / "file").touch()
    folder.cache_folder.cache_clear()
    try:
        assert folder.cache_folder() is None
        assert jit.njit(lambda x: x + 1)(2.0) == 3
    finally:
        folder.cache_folder.cache_clear()


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="folders have no owner here")
def test_a_temporary_folder_that_somebody_else_made_is_not_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder.tempfile, "gettempdir", lambda: str(tmp_path))
    stranger = os.getuid() + 1
    monkeypatch.setattr(os, "getuid", lambda: stranger)
    (tmp_path / f"tinydl-{stranger}").mkdir()
    assert not [root for root in folder._cache_roots() if root.is_relative_to(tmp_path)]


@pytest.mark.parametrize("changed", ["a source", "NumPy", "Numba"])
def test_its_name_changes_with_what_makes_the_machine_code(
    changed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernels = Path(folder.__file__).parents[1]
    shutil.copytree(kernels, tmp_path / "kernels", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(folder, "_cache_roots", lambda: iter([tmp_path / "cache"]))
    monkeypatch.setattr(folder, "__file__", str(tmp_path / "kernels/compiled/folder.py"))
    before, again = folder.cache_folder.__wrapped__(), folder.cache_folder.__wrapped__()
    if changed == "a source":
        with (tmp_path / "kernels/compiled/tile.py").open("a") as file:
            file.write("# more\n")
    else:
        real = folder.version
        monkeypatch.setattr(folder, "version", lambda name: "0" if name == changed.lower() else real(name))
    assert before == again != folder.cache_folder.__wrapped__()
    assert before is not None
    assert before.is_dir()
