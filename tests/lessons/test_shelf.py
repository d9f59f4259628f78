"""Copies of the notebooks: complete, readable where they are, and never over a reader's own work."""

import json
import re

import pytest

from tinydl.lessons import shelf
from tinydl.lessons.shelf import copy_to, notebooks


def test_notebooks_are_found_in_order():
    names = [path.name for path in notebooks()]
    assert names == sorted(names)
    assert names[0] == "01_a_derivative_by_hand.ipynb"


def test_copies_are_whole_and_their_links_lead_somewhere(tmp_path):
    copied = copy_to(tmp_path / "new" / "folder")
    assert {name for name in copied.new if "/" not in name} == {path.name for path in notebooks()}
    for notebook in (tmp_path / "new" / "folder").glob("*.ipynb"):
        text = notebook.read_text(encoding="utf-8")
        assert json.loads(text)["nbformat"] == 4
        assert "](../" not in text
        for link in re.findall(r"\]\((source/[^)]+)\)", text):
            assert (notebook.parent / link).is_file(), link


def test_a_second_time_changes_nothing(tmp_path):
    first, second = copy_to(tmp_path), copy_to(tmp_path)
    assert second.same == first.new
    assert second.new == second.kept == []


def test_what_the_reader_wrote_is_kept(tmp_path):
    copy_to(tmp_path)
    mine = tmp_path / notebooks()[0].name
    mine.write_bytes(b"\xff my own")
    assert copy_to(tmp_path).kept == [mine.name]
    assert mine.read_bytes() == b"\xff my own"


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError, match="file is not a folder"):
        copy_to(tmp_path / "file")


def test_an_installation_without_lessons_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr(shelf, "_PLACES", (tmp_path,))
    with pytest.raises(FileNotFoundError, match="did not come with this installation"):
        notebooks()


def test_a_wheels_own_come_first(monkeypatch, tmp_path):
    (tmp_path / "01_own.ipynb").write_text("{}")
    monkeypatch.setattr(shelf, "_PLACES", (tmp_path, *shelf._PLACES))
    assert [path.name for path in notebooks()] == ["01_own.ipynb"]
