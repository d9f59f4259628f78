"""Where the notebooks stand, and how a reader gets copies to write in.

A wheel carries them inside this package (`setup.py` puts them there); in a clone they are `notebooks/` beside it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from tinydl.storage import write_atomically

_PACKAGE = Path(__file__).parents[1]
_PLACES = Path(__file__).parent / "notebooks", _PACKAGE.parent / "notebooks"
_LINK = re.compile(r"\]\(\.\./(tinydl/[\w./]+\.py)\)")


def notebooks() -> list[Path]:
    """Return the notebooks in their order. Raises: FileNotFoundError when the package came without them.

    >>> notebooks()[0].name
    '01_a_derivative_by_hand.ipynb'
    """
    for folder in _PLACES:
        if found := sorted(folder.glob("[0-9][0-9]_*.ipynb")):
            return found
    raise FileNotFoundError(
        f"the lessons did not come with this installation: none in {' or '.join(map(str, _PLACES))}"
    )


@dataclass
class Copied:
    """What copying did, by the name of the file.

    Attributes:
        new: written now.
        same: there already, equal to what would have been written.
        kept: there already and different, so left alone.
    """

    new: list[str] = field(default_factory=list)
    same: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)


def copy_to(folder: Path) -> Copied:
    """Copy the notebooks to `folder`, and the sources that they link to into `folder`/source.

    A file that is there already and differs is the reader's own work: it is kept.

    Raises: NotADirectoryError when `folder` is a file; OSError when it cannot be written.
    """
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"{folder} is not a folder")
    result = Copied()
    linked: set[str] = set()
    for notebook in notebooks():
        text = notebook.read_text(encoding="utf-8")
        linked.update(_LINK.findall(text))
        _place(folder, notebook.name, _LINK.sub(r"](source/\1)", text), result)
    for name in sorted(linked):
        source = _PACKAGE.parent / name
        _place(folder, f"source/{name}", source.read_text(encoding="utf-8"), result)
    return result


def _place(folder: Path, name: str, text: str, result: Copied) -> None:
    """Write one file unless there is one, and note what was done."""
    path = folder / name
    if path.exists():
        equal = path.read_text(encoding="utf-8", errors="replace") == text
        (result.same if equal else result.kept).append(name)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, text.encode())
    result.new.append(name)
