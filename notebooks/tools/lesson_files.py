"""A lesson as its two files hold it: the percent script that is reviewed, and the notebook that is read.

Only the standard library and tinydl, so that the tests of the notebooks need nothing else installed.
"""

from __future__ import annotations

import ast
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinydl.lessons import solution
from tinydl.lessons.tutor import place_of

FOLDER = Path(__file__).parents[1]
ROOT = FOLDER.parent


@dataclass(frozen=True)
class Cell:
    """A cell: "markdown" or "code", its text, and what running it showed."""

    kind: str
    source: str
    outputs: tuple[dict[str, Any], ...] = ()


def lessons(numbers: list[str] | None = None) -> list[Path]:
    """Return the scripts of the lessons with these numbers ("3" or "03"), or of all."""
    found = sorted(FOLDER.glob("[0-9][0-9]_*.py"))
    wanted = {int(number) for number in numbers or ()}
    missing = wanted - {int(path.name[:2]) for path in found}
    if missing:
        raise ValueError(f"there is no lesson {', '.join(map(str, sorted(missing)))}")
    return [path for path in found if not wanted or int(path.name[:2]) in wanted]


def read_script(path: Path) -> list[Cell]:
    """Return the cells of a percent script: markdown ones are comments, the header before the first is left out."""
    cells = []
    for part in re.split(r"^# %%", path.read_text(encoding="utf-8"), flags=re.M)[1:]:
        head, _, body = part.partition("\n")
        if head.strip() == "[markdown]":
            lines = [re.sub(r"^# ?", "", line) for line in body.strip("\n").splitlines()]
            cells.append(Cell("markdown", "\n".join(lines).strip("\n")))
        else:
            cells.append(Cell("code", body.strip("\n")))
    return cells


def read_notebook(path: Path) -> list[Cell]:
    """Return the cells of a notebook."""
    cells = []
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        source = "".join(cell["source"]).strip("\n")
        cells.append(Cell(cell["cell_type"], source, tuple(cell.get("outputs", ()))))
    return cells


def budget(path: Path) -> float:
    """Return the seconds that a notebook may take, which its metadata state."""
    return float(json.loads(path.read_text(encoding="utf-8"))["metadata"]["tinydl"]["budget_seconds"])


def checks(source: str) -> list[tuple[str, str]]:
    r"""Return (exercise, name of the answer) for each call of `check` in a cell.

    >>> checks('def f(x):\n    return ...\n\ncheck("01.1", f)')
    [('01.1', 'f')]
    """
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "check":
            id, answer = node.args
            assert isinstance(id, ast.Constant)
            assert isinstance(answer, ast.Name), "check is given the answer by its name"
            found.append((id.value, answer.id))
    return found


def with_solutions(source: str) -> str:
    """Return a cell in which the stub of each exercise that it checks is replaced by its solution."""
    for id, name in checks(source):
        start, end = place_of(source, name)
        lines = source.splitlines()
        source = "\n".join([*lines[:start], *solution(id).source.splitlines(), *lines[end:]])
    return source
