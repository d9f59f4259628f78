"""`check`, `hint`, `solution`: find the exercise, and never let a learner's mistake be an accident of ours."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from importlib import import_module
from io import StringIO
from pathlib import Path
from types import ModuleType
from typing import Any

from tinydl import random
from tinydl.lessons.display import Hint, Solution, Verdict
from tinydl.lessons.exercise import Exercise, NotAttempted, Wrong, described, unanswered

_FOLDER = Path(__file__).parent
_given: dict[str, int] = {}
_LAST_LINES = 8


def exercises(lesson: int) -> list[Exercise]:
    """Return the exercises of a lesson in their order. Raises: ValueError when there is no such lesson.

    >>> [one.id for one in exercises(1)]
    ['01.1', '01.2', '01.3']
    """
    if not (_FOLDER / f"lesson_{lesson:02}.py").exists():
        raise ValueError(f"there is no lesson {lesson}")
    # Found by its name, so that a lesson loads only what it needs itself, and adding one touches no list.
    found = vars(import_module(f"tinydl.lessons.lesson_{lesson:02}")).values()
    return sorted((one for one in found if isinstance(one, Exercise)), key=lambda one: one.id)


def _find(id: str) -> Exercise:
    """Return the exercise called `id`. Raises: ValueError naming those of the lesson."""
    lesson = str(id).partition(".")[0]
    if not lesson.isdigit():
        raise ValueError(f'id must look like "01.1" (lesson 1, exercise 1), got {id!r}')
    known = exercises(int(lesson))
    for one in known:
        if one.id == id:
            return one
    raise ValueError(f"lesson {int(lesson)} has the exercises {', '.join(one.id for one in known)}; got {id!r}")


def check(id: str, answer: Any) -> Verdict:
    """Look at the learner's own object and say "not attempted", "wrong" or "right".

    Whatever the answer does when it is tried (an error, an exit, a warning, a word printed) ends up in the verdict:
    a check never stops a notebook and never passes what failed.

    Args:
        id: the exercise, "01.1".
        answer: what the exercise asks for: a function, a class, a number.

    Returns: the verdict, whose `status` is one of the three. Raises: ValueError for an exercise that does not exist.

    >>> def slope(f, x, h):
    ...     return (f(x + h) - f(x)) / h
    >>> print(check("01.1", slope))  # doctest: +ELLIPSIS
    ✗ 01.1 wrong: ...
        smallest failing input: ...
        likely: you look ahead only: f(x + h) − f(x); ...
    """
    task = _find(id)
    with _aside() as printed:
        verdict = _verdict(task, answer)
    words = printed.getvalue().strip().splitlines()[-_LAST_LINES:]
    if words and verdict.status == "wrong":
        details = (*verdict.details, ("it printed, at the end", "\n".join(words)))
        return Verdict(verdict.id, verdict.status, verdict.text, details)
    return verdict


def _verdict(task: Exercise, answer: Any) -> Verdict:
    todo = f'put your answer in the place of the "..." and run the cell again; hint("{task.id}") gives a hint'
    if unanswered(answer):
        return Verdict(task.id, "not attempted", todo)
    try:
        task.examine(answer)
    except (NotAttempted, NotImplementedError):
        return Verdict(task.id, "not attempted", todo)
    except Wrong as trouble:
        return Verdict(task.id, "wrong", str(trouble), tuple(trouble.details.items()))
    except (Exception, SystemExit) as error:
        return Verdict(task.id, "wrong", "it stops with an error", tuple(described(error).items()))
    return Verdict(task.id, "right", task.title)


@contextmanager
def _aside() -> Iterator[StringIO]:
    """Collect what is printed, silence warnings, and leave tinydl's random numbers as they were."""
    state = random.get_state()
    try:
        with warnings.catch_warnings(), redirect_stdout(StringIO()) as printed, redirect_stderr(printed):
            warnings.simplefilter("ignore")
            yield printed
    finally:
        random.set_state(state)


def hint(id: str, number: int | None = None) -> Hint:
    """Return the next hint for an exercise, or the one with this number; after the last it stays with the last.

    Raises: ValueError for an exercise or a number that does not exist.

    >>> hint("01.1", 1).number
    1
    """
    task = _find(id)
    count = len(task.hints)
    if number is None:
        number = min(_given.get(id, 0) + 1, count)
        _given[id] = number
    if not 1 <= number <= count:
        raise ValueError(f"{id} has the hints 1 to {count}, got {number}")
    after = f' (That was the last hint; solution("{id}") shows the answer.)' if number == count else ""
    return Hint(id, number, count, task.hints[number - 1] + after)


def solution(id: str) -> Solution:
    """Return the answer to an exercise: it shows its source, and its `value` is the solved object.

    Raises: ValueError for an exercise that does not exist.

    >>> solution("01.1").value(lambda x: x * x, 3.0, 0.5)
    6.0
    """
    task = _find(id)
    module = import_module(f"tinydl.lessons.solutions.lesson_{task.id.partition('.')[0]}")
    return Solution(id, source_of(module, task.solution), getattr(module, task.solution))


def source_of(module: ModuleType, name: str) -> str:
    """Return the statement of `module` that makes `name`, with the comments right above it."""
    text = Path(str(module.__file__)).read_text(encoding="utf-8")
    start, end = place_of(text, name)
    lines = text.splitlines()
    while start > 0 and lines[start - 1].startswith("#"):
        start -= 1
    return "\n".join(lines[start:end])


def place_of(source: str, name: str) -> tuple[int, int]:
    r"""Return the lines, as a slice, of the top-level statement that makes `name`. Raises: LookupError without one.

    >>> place_of("a = 1\ndef f():\n    return 2\n", "f")
    (1, 3)
    """
    for node in ast.parse(source).body:
        targets = node.targets if isinstance(node, ast.Assign) else []
        if getattr(node, "name", None) == name or any(isinstance(t, ast.Name) and t.id == name for t in targets):
            first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", ()))])
            return first - 1, node.end_lineno or node.lineno
    raise LookupError(f"nothing at the top level makes {name}")
