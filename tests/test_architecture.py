"""The rules of the house that a program can check: imports go down, names agree, nothing is hidden or forbidden."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import tinydl

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "tinydl"
FILES = sorted(PACKAGE.rglob("*.py"))

LEVELS = [
    ["shapes", "options", "random"],
    ["kernels"],
    ["dtypes", "modes", "methods", "graph", "tensor", "rule", "op", "autograd", "creation", "names"],
    ["ops"],
    ["gradcheck", "nn", "data"],
    ["optim", "storage", "packing", "checkpoint", "zoo", "interrupts"],
    ["plots", "train", "cost", "callbacks"],
    ["compress"],
    ["config", "experiment"],
    ["lessons", "commands", "compression", "inspection", "cli", "__main__"],
]
"""Top-level modules, the lowest first; within a level a module may import those that stand before it."""

RANK = {name: i for i, name in enumerate(name for level in LEVELS for name in level)}


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def project_imports(path: Path) -> list[tuple[ast.stmt, str]]:
    """Return (statement, dotted module) for each import of the project in a file, names resolved to submodules."""
    found = []
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for_types = {id(node) for block in ast.walk(tree) if is_type_checking(block) for node in ast.walk(block)}
    for node in ast.walk(tree):
        if id(node) in for_types:
            continue
        if isinstance(node, ast.Import):
            found += [(node, alias.name) for alias in node.names if alias.name.split(".")[0] == "tinydl"]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            if (node.module or "").split(".")[0] == "tinydl":
                for alias in node.names:
                    deeper = f"{node.module}.{alias.name}"
                    is_module = (ROOT / Path(*deeper.split("."))).with_suffix(".py").exists() or (
                        ROOT / Path(*deeper.split("."))
                    ).is_dir()
                    found.append((node, deeper if is_module else node.module))
    return found


def top(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


def test_every_module_has_a_level():
    present = {top(module_of(path)) for path in FILES} - {""}
    assert present == set(RANK)


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_imports_go_down(path):
    here = top(module_of(path))
    for _, target in project_imports(path):
        there = top(target)
        if here and there and here != there:
            assert RANK[there] < RANK[here], f"{module_of(path)} imports {target}, which stands above it"


def test_no_cycles_between_files():
    graph = {module_of(p): {t for _, t in project_imports(p) if not t.endswith(module_of(p))} for p in FILES}
    done: set[str] = set()

    def visit(module: str, trail: tuple[str, ...]) -> None:
        assert module not in trail, f"cycle: {' -> '.join((*trail, module))}"
        if module not in done:
            for target in graph.get(module, ()):
                if target != module:
                    visit(target, (*trail, module))
            done.add(module)

    for module in graph:
        visit(module, ())


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_source_rules(path):
    source = path.read_text(encoding="utf-8")
    tree = ast.parse(source)
    assert ast.get_docstring(tree), "a module says what it is for"
    assert len(source.splitlines()) <= 400
    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            names = [alias.name for alias in node.names] + [getattr(node, "module", "") or ""]
            assert not {"pickle", "cPickle", "dill", "joblib"} & {n.split(".")[0] for n in names}
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            inner = {id(statement) for child in ast.walk(node) for statement in [child]}
            late = [t for statement, t in project_imports(path) if id(statement) in inner]
            assert not late, f"{node.name} imports {late} inside a function"
            body = node.body[1:] if ast.get_docstring(node) else node.body
            length = (node.end_lineno or 0) - body[0].lineno + 1 if body else 0
            limit = 60 if "kernels" in path.parts else 40
            assert length <= limit, f"{node.name} has {length} lines"


def test_kernels_know_nothing_of_tensors():
    for path in (PACKAGE / "kernels").rglob("*.py"):
        for _, target in project_imports(path):
            assert top(target) in ("kernels", "shapes", ""), f"{path.name} imports {target}"


def run_python(code: str, **env: str) -> str:
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=120, env=env or None
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_import_is_light():
    """Importing the package loads none of the heavy libraries and opens no connection."""
    heavy = "numba", "matplotlib", "pooch", "requests", "scipy", "torch", "hypothesis"
    code = (
        "import sys, socket\n"
        "def refuse(*a, **k): raise AssertionError('network')\n"
        "socket.socket.connect = refuse\n"
        "import tinydl\n"
        f"print([m for m in {heavy!r} if m in sys.modules])"
    )
    assert run_python(code).strip() == "[]"


def test_everything_public_has_a_docstring():
    missing = []
    twins = PACKAGE / "kernels" / "compiled"  # documented at their reference
    for path in FILES:
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            public = isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_")
            if twins not in path.parents and public and not ast.get_docstring(node):
                missing.append(f"{module_of(path)}.{node.name}")
    assert not missing


def test_compress_is_imported_when_it_is_asked_for():
    code = "import sys, tinydl; assert 'tinydl.compress' not in sys.modules; print(tinydl.compress.prune.__name__)"
    assert run_python(code) == "tinydl.compress.prune\n"
    with pytest.raises(AttributeError, match="module 'tinydl' has no attribute 'squeeze_it'"):
        tinydl.squeeze_it  # noqa: B018
