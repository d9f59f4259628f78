"""What the notebooks use to answer a learner: `check`, `hint`, `solution`.

Each lesson has three files of one name: `lesson_NN.py` holds its exercises and how they are checked,
`solutions/lesson_NN.py` the answers as the notebook would write them, `pictures/lesson_NN.py` what it draws.
"""

from tinydl.lessons.display import Hint, Solution, Verdict
from tinydl.lessons.tutor import check, hint, solution

__all__ = ["Hint", "Solution", "Verdict", "check", "hint", "solution"]
