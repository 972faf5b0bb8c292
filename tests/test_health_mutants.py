"""Mutants of the reducer: every threshold and comparison is held by a row of its tables.

Each mutant is one change of one module's source, loaded with the others into fresh modules. It must
fail a row (tests/support/rows.py), unless it is listed here as doing the same, with the reason.
"""

from __future__ import annotations

import ast
import copy
import sys
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

import pytest

from tests.support.health import NAMES, REAL, Kit
from tests.support.rows import everything

ROOT = Path(__file__).parent.parent / "events" / "decide"
SOURCES = {name: (ROOT / f"{name}.py").read_text("utf-8") for name in NAMES}
TREES = {name: ast.parse(source) for name, source in SOURCES.items()}
CODE = {name: compile(tree, f"{name}.py", "exec") for name, tree in TREES.items()}

COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.GtE: ast.Gt,
    ast.Gt: ast.GtE,
    ast.LtE: ast.Lt,
    ast.Lt: ast.LtE,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.LShift: ast.RShift,
    ast.BitXor: ast.BitOr,
}

NAMED = {  # as health.md, section 12, names them
    "count and decide swapped": (
        "health",
        "becomes = decide(counted, seen, rules, now)",
        "becomes = decide(health, seen, rules, now)",
    ),
    "f kept on BLOCKED": (
        "counting",
        '("f", "o", "g", "th", "pa")',
        '("o", "g", "th", "pa")',
    ),
    "o reset on THROTTLED": (
        "counting",
        "th=_raised(health.th, age), g=NONE",
        "th=_raised(health.th, age), g=NONE, o=NONE",
    ),
    "f reset on THROTTLED": (
        "counting",
        "th=_raised(health.th, age), g=NONE",
        "th=_raised(health.th, age), g=NONE, f=NONE",
    ),
    "g kept on THROTTLED": (
        "counting",
        "th=_raised(health.th, age), g=NONE",
        "th=_raised(health.th, age)",
    ),
    "window kept on recovery": (
        "status",
        '{"clean": (), "faulty": ()}',
        "{}",
    ),
    "f kept where an outage throttles": (
        "status",
        '{"f": NONE, "streak": ()}',
        "{}",
    ),
    "clamp to the last change removed": (
        "health",
        "at = max(health.since, min(becomes.at, detected))",
        "at = min(becomes.at, detected)",
    ),
    "max removed from the gap rule": (
        "counting",
        "max(rules.interval, due - last)",
        "due - last",
    ),
    "interval alone in the gap rule": (
        "counting",
        "max(rules.interval, due - last)",
        "rules.interval",
    ),
    "F and E exchanged": (
        "verdict",
        "failed / weight >= unhealthy_threshold",
        "errors >= unhealthy_threshold",
    ),
    "fail rate and error rate exchanged": (
        "status",
        "window.errors >= rules.degraded_threshold",
        "window.failing >= rules.degraded_threshold",
    ),
    "error rate and fail rate exchanged": (
        "status",
        "window.failing >= rules.unhealthy_threshold",
        "window.errors >= rules.unhealthy_threshold",
    ),
    "streaks kept over a gap": (
        "health",
        "health = fresh(health)\n    health, known",
        "health, known",
    ),
    "confirm interval from the end": ("counting", "streak.last - age < hold", "streak.last < hold"),
    "confirm interval from the first": (
        "counting",
        "streak.last - age < hold",
        "streak.since - age < hold",
    ),
    "due moves on with UNKNOWN": ("health", "replace(health, due=due), []", "health, []"),
    "UNKNOWN is counted": ("health", 'if seen.verdict == "UNKNOWN":', "if False:"),
    "late cycles are counted": ("health", "_off(health) or late(", "_off(health) and late("),
}

Change = Callable[[Any], None]

SAME: dict[str, str] = {
    "health: if health.lost is None or health.lost_since is None:"
    " => if health.lost is None and health.lost_since is None:": "both are set, or neither",
}
"""Mutants that nobody can tell from the original, and why."""


def load(code: dict[str, CodeType]) -> Kit:
    """Run *code* in fresh modules that import one another."""
    names = {name: f"events.decide.{name}" for name in NAMES}
    kept = {full: sys.modules[full] for full in names.values()}
    modules: dict[str, ModuleType] = {}
    try:
        for name, full in names.items():
            module = ModuleType(full)
            sys.modules[full] = modules[name] = module
            exec(code[name], module.__dict__)  # noqa: S102 - our own source, one change apart
    finally:
        sys.modules.update(kept)
    return Kit(modules)


def changes(node: ast.AST) -> Iterator[Change]:
    """Yield every change of *node* itself, each a function that makes it in place."""
    match node:
        case ast.Compare(ops=ops):
            for place, op in enumerate(ops):
                if type(op) in COMPARISONS:
                    yield partial(_operator, place=place)
        case ast.BinOp(op=op) if type(op) in OPERATORS:
            yield _arithmetic
        case ast.BoolOp():
            yield _logic
        case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
            yield partial(_constant, by=1)
            yield partial(_constant, by=-1)
        case ast.If() | ast.IfExp():
            yield _negated
        case ast.Call(func=ast.Name("max" | "min")):
            yield _extreme
        case ast.Call(func=ast.Name("replace"), keywords=keywords):
            for place, keyword in enumerate(keywords):
                if keyword.arg is not None:
                    yield partial(_kept, place=place)
        case ast.Call(func=ast.Attribute(attr="fromkeys"), args=[ast.Tuple(elts=elements), _]):
            for place in range(len(elements)):
                yield partial(_fewer, place=place)
        case _:
            pass


def _operator(node: ast.Compare, place: int) -> None:
    node.ops[place] = COMPARISONS[type(node.ops[place])]()


def _arithmetic(node: ast.BinOp) -> None:
    node.op = OPERATORS[type(node.op)]()


def _logic(node: ast.BoolOp) -> None:
    node.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()


def _constant(node: ast.Constant, by: int) -> None:
    assert isinstance(node.value, int | float)
    node.value += by


def _negated(node: ast.If | ast.IfExp) -> None:
    node.test = ast.UnaryOp(ast.Not(), node.test)


def _extreme(node: ast.Call) -> None:
    assert isinstance(node.func, ast.Name)
    node.func.id = {"max": "min", "min": "max"}[node.func.id]


def _kept(node: ast.Call, place: int) -> None:
    del node.keywords[place]


def _fewer(node: ast.Call, place: int) -> None:
    assert isinstance(node.args[0], ast.Tuple)
    del node.args[0].elts[place]


def mutants() -> Iterator[tuple[str, str, ast.Module]]:
    """Yield name, module and tree of every mutant; what a class declares is left alone."""
    for name, (module, old, new) in NAMED.items():
        assert SOURCES[module].count(old) == 1, name
        yield name, module, ast.parse(SOURCES[module].replace(old, new))
    for module, tree in TREES.items():
        declared = {
            id(inner)
            for node in ast.walk(tree)
            if isinstance(node, ast.ClassDef)
            for inner in ast.walk(node)
        }
        for place, node in enumerate(ast.walk(tree)):
            if id(node) in declared:
                continue
            for number, _ in enumerate(changes(node)):
                mutant = copy.deepcopy(tree)
                target = next(islice(ast.walk(mutant), place, None))
                list(changes(target))[number](target)
                ast.fix_missing_locations(mutant)
                yield f"{module}: {_told(tree, mutant)}", module, mutant


def _told(tree: ast.Module, mutant: ast.Module) -> str:
    """Return the line that differs, as it was and as it is."""
    pairs = zip(ast.unparse(tree).split("\n"), ast.unparse(mutant).split("\n"), strict=False)
    was, now = next((one, other) for one, other in pairs if one != other)
    return f"{was.strip()} => {now.strip()}"


def survives(module: str, mutant: ast.Module) -> bool:
    """Tell whether no row tells *mutant* from the original."""
    try:
        everything(load({**CODE, module: compile(mutant, f"{module}.py", "exec")}))
    except Exception:  # noqa: BLE001 - whatever it raises, it was seen
        return False
    return True


def test_the_rows_hold_for_the_original() -> None:
    everything(REAL)
    everything(load(CODE))


@pytest.mark.chaos
@pytest.mark.timeout(180)
def test_every_mutant_dies() -> None:
    alive = [name for name, module, mutant in mutants() if survives(module, mutant)]

    assert sorted(set(alive) - set(SAME)) == []
    assert sorted(set(SAME) - set(alive)) == []
