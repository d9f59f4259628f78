"""Make the notebooks from their scripts: `python notebooks/tools/build_lessons.py [3 4 …]`.

Cells go from `NN_slug.py` to `NN_slug.ipynb` by jupytext, which keeps the ids of cells that are there; they run from a
clean kernel in an empty folder; what belongs to this machine or moment is taken out; pictures are made small; and
unless the lesson keeps every rule of `lesson_rules.py`, the complaints are printed and the exit code is 1.
"""

from __future__ import annotations

import argparse
import base64
import sys
from io import BytesIO
from pathlib import Path
from typing import Any

import jupytext
import nbformat
from jupytext.combine import combine_inputs_with_outputs
from lesson_files import lessons
from lesson_rules import Lesson, complaints
from PIL import Image
from run_lessons import execute, outputs

_LANGUAGE = {"name": "python", "file_extension": ".py", "mimetype": "text/x-python", "pygments_lexer": "ipython3"}
_LIMIT_SECONDS = 600
_COLOURS = 256


def synced(script: Path) -> Any:
    """Return the notebook with the script's cells, and the ids of those that the old notebook has too."""
    fresh = jupytext.read(script)
    old = script.with_suffix(".ipynb")
    return combine_inputs_with_outputs(fresh, nbformat.read(old, as_version=4)) if old.exists() else fresh


def clean(notebook: Any) -> None:
    """Take out what would change with the machine, the moment or the versions of tools."""
    notebook.metadata = nbformat.from_dict(
        {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": _LANGUAGE,
            "tinydl": notebook.metadata["tinydl"],
        }
    )
    for cell in notebook.cells:
        cell.metadata = nbformat.from_dict({})
    for output in outputs(notebook):
        output.get("metadata", {}).clear()
        if "image/png" in output.get("data", {}):
            output.data["image/png"] = small(output.data["image/png"])


def small(png: str) -> str:
    """Return a picture with a palette: a third of the bytes, and no colour that an eye could tell from what it was."""
    image = Image.open(BytesIO(base64.b64decode(png))).convert("RGB")
    file = BytesIO()
    image.quantize(_COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(file, "PNG", optimize=True)
    return base64.b64encode(file.getvalue()).decode("ascii")


def build(script: Path) -> list[str]:
    """Build one lesson and return the complaints about it."""
    notebook = synced(script)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = []
    execute(notebook, "stubs", _LIMIT_SECONDS)
    clean(notebook)
    nbformat.write(notebook, script.with_suffix(".ipynb"))
    return complaints(Lesson(script))


def main() -> int:
    """Build what was asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("numbers", nargs="*", help="which lessons (default: all)")
    troubles = [trouble for script in lessons(parser.parse_args().numbers) for trouble in build(script)]
    print("\n".join(troubles) or "built, no complaints")
    return 1 if troubles else 0


if __name__ == "__main__":
    sys.exit(main())
