"""Every lesson keeps the rules of the house, and what it says about others is so."""

import re

import pytest
from lesson_files import FOLDER, lessons, with_solutions
from lesson_rules import RULES, Lesson

from tinydl.lessons.tutor import exercises, solution

LESSONS = [Lesson(script) for script in lessons()]
README = (FOLDER / "README.md").read_text(encoding="utf-8")
LISTED = re.findall(r"\((\d\d_\w+\.ipynb)\)", README)


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.script.stem)
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_rule(lesson, rule):
    assert list(rule(lesson)) == []


def test_the_path_is_whole_and_in_order():
    assert [int(name[:2]) for name in LISTED] == list(range(1, len(LISTED) + 1))
    assert {lesson.notebook.name for lesson in LESSONS} <= set(LISTED)


def test_every_lesson_of_the_path_is_there():
    assert [lesson.notebook.name for lesson in LESSONS] == LISTED


def test_every_notebook_has_its_script():
    assert {p.stem for p in FOLDER.glob("*.ipynb")} == {lesson.script.stem for lesson in LESSONS}


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.script.stem)
def test_solutions_fit_where_the_stubs_stand(lesson):
    solved = "\n".join(with_solutions(cell) for cell in lesson.of("code"))
    for task in exercises(lesson.number):
        assert solution(task.id).source in solved
    compile(solved, lesson.script.name, "exec")
