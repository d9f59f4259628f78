"""Put the lessons into the wheel, as data of `tinydl.lessons`; all else is in pyproject.toml."""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithLessons(build_py):
    """`build_py`, which then copies the notebooks to where `tinydl/lessons/shelf.py` looks for them."""

    def run(self) -> None:
        """Build, and copy unless the sources themselves are installed (where `notebooks/` is found beside them)."""
        super().run()
        if not self.editable_mode:
            target = Path(self.build_lib, "tinydl", "lessons", "notebooks")
            self.mkpath(str(target))
            for notebook in sorted(Path("notebooks").glob("[0-9][0-9]_*.ipynb")):
                self.copy_file(str(notebook), str(target / notebook.name))


setup(cmdclass={"build_py": BuildWithLessons})
