"""The rings: who may import whom."""

import ast
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in (ROOT / "refcache").rglob("*.py")
}
TREES = {name: ast.parse(path.read_bytes()) for name, path in MODULES.items()}

EDGES = ("refcache.contrib", "refcache.rest_framework")
OUTSIDE = ({"msgspec"}, {"redis"}, {"asgiref", "django", "django_redis"})
# The edges have one package each; drf-spectacular describes REST framework, so these are one.
TOGETHER = {"drf_spectacular", "rest_framework"}
# The command shows its progress with rich, if that is there.
COMMANDS = {"refcache.management.commands.refcache_warm": {"rich"}}


def ring(module: str) -> int:
    if is_below(module, "refcache.core"):
        return 0
    if is_below(module, "refcache.tiers"):
        return 1
    return 3 if is_below(module, *EDGES) else 2


def is_below(module: str, *packages: str) -> bool:
    return any(f"{module}.".startswith(f"{package}.") for package in packages)


def imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = "." * node.level + (node.module or "")
            full = [f"{origin}.{alias.name}" for alias in node.names]
            yield from (name if name in MODULES else origin for name in full)


@pytest.mark.parametrize("module", sorted(MODULES))
def test_imports_point_inwards(module: str) -> None:
    own = {name for name in imports(TREES[module]) if is_below(name, "refcache")}

    assert {name for name in own if ring(name) > ring(module)} == set()


@pytest.mark.parametrize("module", sorted(MODULES))
def test_a_ring_imports_only_the_packages_that_it_may(module: str) -> None:
    may = {"refcache"}.union(sys.stdlib_module_names, *OUTSIDE[: ring(module) + 1])
    beyond = {name.split(".")[0] for name in imports(TREES[module])} - may

    if ring(module) == 3:
        assert len(beyond) <= 1 or beyond == TOGETHER
    else:
        assert beyond <= COMMANDS.get(module, set())


@pytest.mark.parametrize("module", sorted(MODULES))
def test_imports_are_absolute_and_at_the_top(module: str) -> None:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    functions = [node for node in ast.walk(TREES[module]) if isinstance(node, kinds)]
    late = {node.name for node in functions if any(imports(node))}

    assert not any(name.startswith(".") for name in imports(TREES[module]))
    assert is_below(module, *EDGES) or late <= ({"ready"} if module.endswith(".apps") else set())


def test_there_are_no_cycles() -> None:
    used = {name: MODULES.keys() & set(imports(tree)) for name, tree in TREES.items()}

    TopologicalSorter(used).prepare()
