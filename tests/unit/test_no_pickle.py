"""What stands in Redis is data, never code: neither the source nor a run makes it any."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted((ROOT / "refcache").rglob("*.py"))

# They make objects of whatever class, or code, of what they read.
UNSAFE_MODULES = {
    "_pickle", "cloudpickle", "code", "codeop", "dill", "jsonpickle", "marshal", "pickle",
    "runpy", "shelve", "yaml",
}  # fmt: skip
UNSAFE_CALLS = {"__import__", "compile", "eval", "exec"}
# Where they import by a name, it stands in the source or in the settings.
IMPORTERS = {"import_module", "import_string"}
NEAR_DATA = ("core", "reading", "sql", "tiers", "writing")


def imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").split(".")[0]


def called(tree: ast.AST) -> Iterator[str]:
    """Names of functions, and of methods of modules."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            match node.func:
                case ast.Name(name):
                    yield name
                case ast.Attribute(ast.Name("builtins" | "importlib"), name):
                    yield name


def ids(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", MODULES, ids=ids)
def test_nothing_that_makes_code_of_data_is_imported(path: Path) -> None:
    assert UNSAFE_MODULES.isdisjoint(imported(ast.parse(path.read_bytes())))


@pytest.mark.parametrize("path", MODULES, ids=ids)
def test_nothing_is_executed(path: Path) -> None:
    found = set(called(ast.parse(path.read_bytes())))

    assert UNSAFE_CALLS.isdisjoint(found)
    if path.relative_to(ROOT).parts[1] in NEAR_DATA:
        assert IMPORTERS.isdisjoint(found)
