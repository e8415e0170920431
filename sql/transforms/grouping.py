"""GROUPING SETS, ROLLUP and CUBE, where a dialect has none."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, product

from sqlglot import exp

from sql.dialects.refusal import NotCarriedError
from sql.dialects.types import BIGINT, BOOLEAN, of, put
from sql.transforms.wrapping import order_by_outputs, order_wrapped, outputs_of, wrap

_ALIAS = "_grouped"
_MAX_SETS = 64
_EXPANDED = (exp.GroupingSets, exp.Rollup, exp.Cube)
Keys = tuple[exp.Expr, ...]


def unite_grouping_sets_with_the_empty_one(node: exp.Expr) -> exp.Expr:
    """Turns grouping sets into one GROUP BY each, united, when the set of no keys is among them.

    For Spark and Snowflake: over no rows that set is one row in DuckDB, and none in Spark.
    """
    group = node.args.get("group") if isinstance(node, exp.Select) else None
    if group is None or () not in _sets(group):
        return node
    return unite_grouping_sets(node)


def unite_grouping_sets(node: exp.Expr) -> exp.Expr:
    """Turns grouping sets into one GROUP BY each, united; keys a set leaves out are NULL there.

    For SQLite, which groups by one set only. ORDER BY and LIMIT go around the union.
    """
    group = node.args.get("group") if isinstance(node, exp.Select) else None
    if group is None or not any(isinstance(part, _EXPANDED) for part in group.expressions):
        return node
    assert isinstance(node, exp.Select)
    if any(isinstance(part, exp.Window) for part in node.walk()):
        raise NotCarriedError(node, "a window over GROUPING SETS", "the grouping in a subquery")
    outputs = outputs_of(node)
    terms = order_by_outputs(node)
    sets = _sets(group)
    if len(sets) > _MAX_SETS:
        raise NotCarriedError(group, f"{len(sets)} grouping sets", f"at most {_MAX_SETS}")
    keys = tuple(dict.fromkeys(key for one in sets for key in one))
    distinct = node.args.get("distinct")
    node.set("distinct", None)
    united: exp.Query = _branch(node, keys, sets[0])
    for one in sets[1:]:
        united = exp.Union(this=united, expression=_branch(node, keys, one), distinct=False)
    outer = wrap(united, _ALIAS, outputs, node)
    outer.set("distinct", distinct)
    order_wrapped(outer, _ALIAS, terms)
    return outer


def _sets(group: exp.Group) -> list[Keys]:
    """Every grouping set, as the product of what stands side by side in the clause."""
    factors = [list(_sets_of(part)) for part in group.expressions]
    return [tuple(dict.fromkeys(key for part in parts for key in part)) for parts in product(*factors)]


def _keys(node: exp.Expr) -> Keys:
    return tuple(node.expressions) if isinstance(node, exp.Tuple) else (node.unnest(),)


def _sets_of(part: exp.Expr) -> Iterator[Keys]:
    if isinstance(part, exp.GroupingSets):
        for one in part.expressions:
            yield from _sets_of(one)
    elif isinstance(part, exp.Rollup):
        yield from _prefixes(part)
    elif isinstance(part, exp.Cube):
        yield from _subsets(part)
    else:
        yield _keys(part)


def _prefixes(clause: exp.Expr) -> Iterator[Keys]:
    for length in range(len(clause.expressions), -1, -1):
        yield tuple(key for part in clause.expressions[:length] for key in _keys(part))


def _subsets(clause: exp.Expr) -> Iterator[Keys]:
    for length in range(len(clause.expressions), -1, -1):
        for chosen in combinations(clause.expressions, length):
            yield tuple(key for part in chosen for key in _keys(part))


def _branch(select: exp.Select, keys: Keys, chosen: Keys) -> exp.Select:
    branch = select.copy()
    for clause in ("with_", "limit", "offset", "group"):
        branch.set(clause, None)
    left_out = [key for key in keys if key not in chosen]
    for projection in branch.expressions:
        _leave_out(projection, chosen, left_out)
    if branch.args.get("having"):
        _leave_out(branch.args["having"], chosen, left_out)
    if chosen:
        branch.set("group", exp.Group(expressions=[key.copy() for key in chosen]))
    else:
        _make_one_group(branch)
    return branch


def _leave_out(root: exp.Expr, chosen: Keys, left_out: list[exp.Expr]) -> None:
    """Replace keys that are not grouped by with NULL, and answer GROUPING(), outside of aggregates."""
    for node in list(root.walk(prune=lambda n: isinstance(n, exp.AggFunc | exp.Query))):
        if isinstance(node, exp.Grouping):
            node.replace(put(exp.Literal.number(_grouping_bits(node, chosen)), BIGINT))
        elif node in left_out:
            node.replace(put(exp.Null(), of(node)))


def _grouping_bits(node: exp.Grouping, chosen: Keys) -> int:
    bits = 0
    for key in node.expressions:
        bits = bits << 1 | (key not in chosen)
    return bits


def _make_one_group(branch: exp.Select) -> None:
    """An aggregate in HAVING makes a SELECT of constants one row, as the empty set does."""
    having = branch.args.get("having")
    rows = put(exp.Count(this=exp.Star(), big_int=True), BIGINT)
    one = put(exp.GTE(this=rows, expression=put(exp.Literal.number(0), BIGINT)), BOOLEAN)
    both = put(exp.And(this=exp.Paren(this=having.this), expression=one), BOOLEAN) if having else one
    branch.set("having", exp.Having(this=both))
