"""The rules that a lesson keeps, each a function from a lesson to what is wrong with it.

A learner meets the same shape in every lesson, cells that fit into the head, links that lead somewhere, and nothing of
the machine on which the notebook was built.
"""

from __future__ import annotations

import ast
import importlib
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from lesson_files import FOLDER, ROOT, Cell, checks, read_notebook, read_script

from tinydl.lessons.tutor import exercises

LINES, CELLS, WORDS, BYTES = 12, (20, 35), (800, 1500), 300_000
HEADINGS = "## Now the real one", "## Break it on purpose", "## Five questions", "## What next"
FIRST_SCREEN = 3
"""The picture stands among the outputs of the first so many code cells."""

_PATH = re.compile(r"(?<![\w.:/])/(?:home|root|tmp|usr|opt|work|mnt|var|Users)/|[A-Z]:\\\\")


@dataclass(frozen=True)
class Lesson:
    """One lesson, by its script; the notebook has the same name."""

    script: Path

    @property
    def notebook(self) -> Path:
        """The notebook's path."""
        return self.script.with_suffix(".ipynb")

    @property
    def number(self) -> int:
        """The lesson's number."""
        return int(self.script.name[:2])

    @cached_property
    def cells(self) -> list[Cell]:
        """The notebook's cells."""
        return read_notebook(self.notebook)

    def of(self, kind: str) -> list[str]:
        """Return the texts of the cells of a kind."""
        return [cell.source for cell in self.cells if cell.kind == kind]

    @property
    def prose(self) -> str:
        """All markdown."""
        return "\n\n".join(self.of("markdown"))


Rule = Callable[[Lesson], Iterator[str]]


def twins(lesson: Lesson) -> Iterator[str]:
    """The script and the notebook hold the same cells."""
    theirs = [(cell.kind, cell.source) for cell in lesson.cells]
    ours = [(cell.kind, cell.source) for cell in read_script(lesson.script)]
    if ours != theirs:
        first = next((a for a, b in zip(ours, theirs) if a != b), ("", "their number of cells"))
        yield f"script and notebook differ; build it. First difference: {first[1][:60]!r}"


def short_cells(lesson: Lesson) -> Iterator[str]:
    """A cell has few lines, a lesson 20 to 35 cells."""
    code = lesson.of("code")
    yield from (f"a cell has {n} lines: {c[:60]!r}" for c in code if (n := len(c.splitlines())) > LINES)
    if not CELLS[0] <= len(code) <= CELLS[1]:
        yield f"there are {len(code)} code cells, {CELLS[0]} to {CELLS[1]} are wanted"


def prose(lesson: Lesson) -> Iterator[str]:
    """The prose can be read in a quarter of an hour."""
    text = re.sub(r"\]\([^)]*\)|<[^>]+>|\$[^$]*\$", " ", lesson.prose)
    words = len(re.findall(r"[^\W\d_][\w’'-]*", text))
    if not WORDS[0] <= words <= WORDS[1]:
        yield f"the prose has {words} words, {WORDS[0]} to {WORDS[1]} are wanted"


def shape(lesson: Lesson) -> Iterator[str]:
    """Every lesson goes through the same stations."""
    first = lesson.cells[0].source
    if not first.startswith(f"# Lesson {lesson.number}: "):
        yield f"it must begin with '# Lesson {lesson.number}: '"
    yield from (f"the first cell must say {words!r}" for words in ("You will be able to", "min") if words not in first)
    places = [lesson.prose.find(f"\n{heading}") for heading in HEADINGS]
    if -1 in places or places != sorted(places):
        yield f"the headings {HEADINGS} are wanted, in this order"
    elif lesson.prose[places[2] :].count("<details>") != 5:
        yield "five questions with folded answers are wanted"
    if not re.search(r"\*\*Predict", lesson.prose):
        yield "the reader is never asked to predict ('**Predict')"
    if not re.search(r"\*\*Stretch", lesson.prose):
        yield "a stretch exercise ('**Stretch') is wanted"


def picture_first(lesson: Lesson) -> Iterator[str]:
    """The picture is on the first screen, drawn."""
    code = [cell for cell in lesson.cells if cell.kind == "code"][:FIRST_SCREEN]
    kinds = {kind for cell in code for output in cell.outputs for kind in output.get("data", {})}
    if not kinds & {"image/png", "image/svg+xml"}:
        yield f"no picture among the first {FIRST_SCREEN} code cells"


def exercises_are_there(lesson: Lesson) -> Iterator[str]:
    """Each exercise stands once, stub and check in one cell: a broken stub cannot pass as an older one."""
    tasks = {task.id: task.solution for task in exercises(lesson.number)}
    found = [(cell, *one) for cell in lesson.of("code") for one in checks(cell)]
    if sorted(id for _, id, _ in found) != sorted(tasks):
        yield f"the notebook checks {[id for _, id, _ in found]}, the lesson has {list(tasks)}"
        return
    if not 2 <= len(tasks) <= 3:
        yield f"there are {len(tasks)} exercises, two or three are wanted"
    for cell, id, name in found:
        made = {n.id for n in ast.walk(ast.parse(cell)) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
        made |= {getattr(node, "name", "") for node in ast.parse(cell).body}
        if name != tasks[id] or name not in made:
            yield f"{id}: the cell must define {tasks[id]} and give it to check"
        if f'# hint("{id}")' not in lesson.script.read_text(encoding="utf-8"):
            yield f'{id}: a cell with # hint("{id}") and # solution("{id}") is wanted'


def public_names(lesson: Lesson) -> Iterator[str]:
    """It uses what any program may use, and private attributes of its own objects only."""
    nodes = list(ast.walk(ast.parse("\n".join(lesson.of("code")))))
    attributes = [node for node in nodes if isinstance(node, ast.Attribute)]
    own = {node.attr for node in attributes if isinstance(node.ctx, ast.Store)}
    for node in attributes:
        if node.attr.startswith("_") and not node.attr.startswith("__") and node.attr not in own:
            yield f"{ast.unparse(node)} is private"
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "tinydl":
            public = getattr(importlib.import_module(node.module), "__all__", None)
            yield from (
                f"{node.module}.{alias.name} is not public"
                for alias in node.names
                if alias.name.startswith("_") or (public is not None and alias.name not in public)
            )


def standard_library(lesson: Lesson) -> Iterator[str]:
    """Lessons 1 to 3 build with the standard library alone."""
    if lesson.number <= 3:
        for node in ast.walk(ast.parse("\n".join(lesson.of("code")))):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            yield from (f"imports {n}" for n in names if n.split(".")[0] in ("numpy", "scipy", "numba"))


def links(lesson: Lesson) -> Iterator[str]:
    """Links lead to other lessons, to sources of the package, or to the web; and the lesson shows the real code."""
    listed = (FOLDER / "README.md").read_text(encoding="utf-8")
    targets = re.findall(r"\]\(([^)]+)\)", lesson.prose)
    for target in targets:
        if target.startswith("https://"):
            continue
        if target.startswith("../tinydl/"):
            if not (ROOT / target[3:]).is_file() or not target.endswith(".py"):
                yield f"{target} is no file"
        elif f"]({target})" not in listed:
            yield f"{target} is neither a lesson of the list in README.md, nor in ../tinydl/, nor https"
    if not any(target.startswith("../tinydl/") for target in targets):
        yield "it links to no file of tinydl"


def clean_outputs(lesson: Lesson) -> Iterator[str]:
    """Outputs show what a reader will see on any machine: no errors, no warnings, no paths; and it has been run."""
    data = json.loads(lesson.notebook.read_text(encoding="utf-8"))
    numbers = [cell["execution_count"] for cell in data["cells"] if cell["cell_type"] == "code"]
    if numbers != list(range(1, len(numbers) + 1)):
        yield "its cells were not run once, in order, from a clean kernel"
    for cell in lesson.cells:
        for output in cell.outputs:
            if output["output_type"] == "error" or output.get("name") == "stderr":
                yield f"an error or a warning is shown under {cell.source[:60]!r}"
            texts = [output.get("text", ""), *(v for k, v in output.get("data", {}).items() if k != "image/png")]
            if any(_PATH.search("".join(text)) for text in texts):
                yield f"an absolute path is shown under {cell.source[:60]!r}"
    allowed = {"kernelspec", "language_info", "tinydl"}
    if extra := set(data["metadata"]) - allowed:
        yield f"its metadata hold {sorted(extra)}"


def size(lesson: Lesson) -> Iterator[str]:
    """A notebook opens at once, and its differences can be read."""
    if (n := lesson.notebook.stat().st_size) > BYTES:
        yield f"the notebook has {n:,} bytes, {BYTES:,} are allowed"


RULES: tuple[Rule, ...] = (
    twins, short_cells, prose, shape, picture_first, exercises_are_there, public_names, standard_library, links,
    clean_outputs, size,
)  # fmt: skip


def complaints(lesson: Lesson) -> list[str]:
    """Return everything that is wrong with a lesson."""
    return [f"{lesson.script.stem}: {rule.__name__}: {text}" for rule in RULES for text in rule(lesson)]
