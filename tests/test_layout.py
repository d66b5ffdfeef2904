"""Imports point downwards only; docs/design.md says what stands on which floor."""

import ast
import re
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import sklearn_lsh
from sklearn_lsh import _workspace

PACKAGE = Path(sklearn_lsh.__file__).parent
FLOORS = [
    {"_kernels"},
    {"_archive", "_costs", "_layer", "_rests", "_rows", "_schema", "_workspace"},
    {
        "_coordinates", "_directions", "_hashing", "_losses", "_optimizers", "_ordering",
        "_output_selector", "_selection", "_selectors", "_table_selector",
    },
    {"_attributes", "_network", "_plans", "_state", "_training"},
    {
        "__init__", "__main__", "_base", "_blas", "_callbacks", "_checkpoint", "_classifier",
        "_conversion", "_cost_display", "_displays", "_epochs", "_inspection", "_labels",
        "_monitor", "_parameters", "_persistence", "_ranking", "_regressor", "_samples", "datasets",
        "inspection", "metrics",
    },
]  # fmt: skip
FLOOR = {name: floor for floor, names in enumerate(FLOORS) for name in names}
SIBLINGS = {  # a module may use these of its own floor
    ("_workspace", "_rows"), ("_workspace", "_costs"), ("_layer", "_rows"),
    ("_coordinates", "_directions"), ("_selectors", "_coordinates"), ("_selectors", "_directions"),
    ("_table_selector", "_coordinates"), ("_table_selector", "_hashing"),
    ("_table_selector", "_selectors"), ("_selection", "_hashing"), ("_selection", "_selectors"),
    ("_selection", "_table_selector"),
    ("_output_selector", "_selectors"),
    ("_classifier", "_labels"), ("_classifier", "_ranking"), ("_classifier", "metrics"),
    ("_ranking", "_parameters"),
    ("_attributes", "_training"), ("_plans", "_network"),
    ("_state", "_attributes"), ("_state", "_network"),
    ("_state", "_training"), ("_persistence", "_parameters"), ("_base", "_persistence"),
    ("_base", "_conversion"), ("_base", "_checkpoint"), ("_checkpoint", "_persistence"),
    ("_base", "_parameters"), ("_base", "_blas"), ("_base", "_callbacks"), ("_base", "_epochs"),
    ("_epochs", "_monitor"), ("_epochs", "_parameters"), ("_monitor", "_samples"),
    ("_base", "_samples"), ("_classifier", "_base"), ("_regressor", "_base"),
    ("__init__", "_classifier"), ("__init__", "_regressor"), ("_inspection", "_base"),
    ("_displays", "_inspection"), ("_cost_display", "_displays"), ("_cost_display", "_inspection"),
    ("inspection", "_cost_display"), ("inspection", "_displays"), ("inspection", "_inspection"),
    ("__main__", "__init__"), ("__main__", "inspection"),
}  # fmt: skip
MODULES = sorted(path.stem for path in PACKAGE.glob("*.py"))


def imports(name):
    """Full names of the modules that a module of the package imports, wherever it does."""
    for node in ast.walk(ast.parse((PACKAGE / f"{name}.py").read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield node.module


def own(name):
    """Modules of the package among them; the package itself is its __init__."""
    for module in imports(name):
        first, *rest = module.split(".")
        if first == "sklearn_lsh":
            yield rest[0] if rest else "__init__"


def test_constants_of_kernels_are_those_of_the_workspace():
    given = "".join(path.read_text() for path in sorted(PACKAGE.glob("_kernels/*.p[yx][xd]")))
    for name in ("PANEL", "TOGETHER", "CHUNK"):
        numbers = re.findall(rf"^    {name} = (\d+)", given, re.M)
        assert [int(number) for number in numbers] == [getattr(_workspace, name)]


def test_every_module_has_a_floor():
    assert set(MODULES) | {"_kernels"} == set(FLOOR)


@pytest.mark.parametrize("name", MODULES)
def test_imports_point_down(name):
    for other in own(name):
        assert FLOOR[other] < FLOOR[name] or (name, other) in SIBLINGS, f"{name} imports {other}"
        if other == "_kernels":
            assert FLOOR[name] == 2 or name in ("_network", "_plans", "_workspace")
    if FLOOR[name] < 4:
        assert not [module for module in imports(name) if module.split(".")[0] == "sklearn"]


def test_no_cycles():
    TopologicalSorter({name: set(own(name)) for name in MODULES}).prepare()


@pytest.mark.parametrize("path", sorted(PACKAGE.glob("_kernels/*.p[yx][xd]")), ids=lambda p: p.name)
def test_kernels_import_kernels_and_numpy_only(path):
    lines = re.findall(r"^\s*(?:from (\S+) c?import|c?import (\S+))", path.read_text(), re.M)
    for module in filter(None, (a or b for a, b in lines)):
        allowed = r"sklearn_lsh\._kernels\.\w+|cython(\.\w+)*|libc(\.\w+)*|numpy"
        assert re.fullmatch(allowed, module), f"{path.name} imports {module}"
