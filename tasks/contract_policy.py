"""What every contract must check, derived from the table's declaration.

Each rule is a generator of problems; POLICY lists them all.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from lake.table import COUNT, MONEY, MONEY_SUM, RATIO, TEXT, Column, Layer, Table
from lake.tables import SILVER
from tasks.contract_keys import Found
from tasks.contract_shape import dataset_of, is_served_by_models
from tasks.contract_yaml import Contract, DeclaredCheck, Items

NEVER_EMPTY = frozenset(
    {
        "silver.users",
        "silver.marketing_channels",
        "gold.daily_kpis",
        "gold.conversion_funnel",
        "gold.channel_performance",
    }
)
"""Tables that no company can do without. Others may be empty (no billing yet, no experiment): that warns."""

ARRIVAL = "_ingested_at"
COUNTRY = "country"
_WORD = re.compile(r"[a-z][a-z0-9_]*")
_BETWEEN_CODES = re.compile(r",? or |, ")
_KEYS = {table.key[0]: table for table in SILVER if len(table.key) == 1}


def declared_codes(column: Column) -> tuple[str, ...]:
    """The codes a text column's description lists ("low, normal or high."), none when it lists none."""
    listing = re.split(r"[.;]", re.sub(r" \([^)]*\)", "", column.description), maxsplit=1)[0]
    words = tuple(_BETWEEN_CODES.split(listing))
    listed = column.type == TEXT and len(words) > 1 and all(_WORD.fullmatch(w) for w in words)
    return words if listed else ()


def reference_of(table: Table, column: Column) -> tuple[Table, str] | None:
    """The silver table whose key a silver column repeats by name, and that key."""
    target = _KEYS.get(column.name)
    if table.layer is not Layer.SILVER or target is None or target == table:
        return None
    return target, column.name


def is_strict(check: DeclaredCheck) -> bool:
    """Whether a check tolerates no row: no threshold of its own, or exactly 0 at level fail."""
    return "threshold" not in check.body or (
        check.threshold.get("must_be") == 0 and check.threshold.get("level", "fail") == "fail"
    )


def _checks_line(contract: Contract) -> int:
    return contract.root.line_of("checks")


def _column_line(contract: Contract, name: str) -> int:
    return next((c.line_of("name") for c in contract.columns if c.get("name") == name), contract.root.line)


def schema_is_checked(contract: Contract, table: Table) -> Found:  # noqa: ARG001 - all rules look alike
    """Every contract compares columns and types."""
    if len(contract.of(None, "schema")) != 1:
        yield _checks_line(contract), "the contract needs one 'schema' check"


def rows_are_counted(contract: Contract, table: Table) -> Found:
    """Rows are counted; none fails the tables nobody can do without and warns for the others."""
    level = "fail" if table.full_name in NEVER_EMPTY else "warn"
    counts = contract.of(None, "row_count")
    if not counts:
        yield _checks_line(contract), "the contract needs a 'row_count' check"
    for check in counts:
        bounds = {k: v for k, v in check.threshold.items() if k != "level"}
        if check.qualifier is None and (
            bounds != {"must_be_greater_than": 0} or check.threshold.get("level", "fail") != level
        ):
            yield check.line, f"row_count must be greater than 0 at level {level} for {table.full_name}"


def keys_are_unique(contract: Contract, table: Table) -> Found:
    """The declared key of a silver or gold table is checked for duplicates."""
    if not is_served_by_models(table):
        return
    if len(table.key) == 1:
        found = contract.of(table.key[0], "duplicate")
        line = _column_line(contract, table.key[0])
    else:
        listed = contract.of(None, "duplicate")
        found = tuple(c for c in listed if tuple(c.body.get("columns") or ()) == table.key)
        line = _checks_line(contract)
    if not any(is_strict(c) for c in found):
        yield line, f"the key of {table.full_name} ({', '.join(table.key)}) needs a 'duplicate' check that allows none"


def required_columns_are_present(contract: Contract, table: Table) -> Found:
    """A column declared as required has a `missing` check that tolerates none."""
    for column in table.columns:
        if column.required and not any(is_strict(c) for c in contract.of(column.name, "missing")):
            yield _column_line(contract, column.name), f"required column {column.name!r} needs a strict 'missing' check"


def codes_are_known(contract: Contract, table: Table) -> Found:
    """A column whose description lists codes allows exactly these; a country is two letters and no placeholder."""
    if not is_served_by_models(table):
        return
    for column in table.columns:
        strict = [c for c in contract.of(column.name, "invalid") if is_strict(c)]
        codes = declared_codes(column)
        if codes and not any(_same(c.body.get("valid_values"), codes) for c in strict):
            line = next((c.line for c in strict), _column_line(contract, column.name))
            yield line, f"column {column.name!r} needs a strict 'invalid' check with valid_values {', '.join(codes)}"
        for key in ("valid_format", "invalid_values") if column.name == COUNTRY else ():
            if not any(key in c.body for c in strict):
                yield _column_line(contract, column.name), f"column {column.name!r} needs an 'invalid' check with {key}"


def references_hold(contract: Contract, table: Table) -> Found:
    """A silver column named like another silver table's key refers to it."""
    for column in table.columns:
        target = reference_of(table, column)
        if target is None:
            continue
        wanted = {"dataset": dataset_of(target[0]), "column": target[1]}
        checks = contract.of(column.name, "invalid")
        if not any(is_strict(c) and c.body.get("valid_reference_data") == wanted for c in checks):
            line = next((c.line for c in checks), _column_line(contract, column.name))
            yield (
                line,
                f"column {column.name!r} needs a strict 'invalid' check against {target[0].full_name}.{target[1]}",
            )


def numbers_are_bounded(contract: Contract, table: Table) -> Found:
    """A number of a silver or gold table has a range or a rule; sums of money may be anything."""
    if not is_served_by_models(table):
        return
    for column in table.payload:
        checks = (*contract.of(column.name, "invalid"), *contract.of(column.name, "failed_rows"))
        if column.type in (COUNT, MONEY, RATIO) and not any(is_strict(c) for c in checks):
            line = _column_line(contract, column.name)
            yield (
                line,
                f"number {column.name!r} needs an 'invalid' check (valid_min, valid_max) or a 'failed_rows' rule",
            )


def limits_fit_the_type(contract: Contract, table: Table) -> Found:
    """Bounds stand on numbers, formats and lengths on text."""
    for check in contract.checks:
        if check.column not in table.column_names:
            continue
        kind = table.column(str(check.column)).type
        for key in check.body:
            if key in ("valid_min", "valid_max") and kind not in (COUNT, MONEY, MONEY_SUM, RATIO):
                yield check.body.line_of(key), f"{key!r} bounds numbers; {check.column!r} is {kind}"
            if key.endswith(("_format", "_length")) and kind != TEXT:
                yield check.body.line_of(key), f"{key!r} is for text; {check.column!r} is {kind}"


def arrival_is_watched(contract: Contract, table: Table) -> Found:
    """Bronze and silver warn when the newest row arrived too long ago."""
    if ARRIVAL not in table.column_names:
        return
    found = [c for c in contract.of(None, "freshness") if c.body.get("column") == ARRIVAL]
    if not any(c.threshold.get("level") == "warn" for c in found):
        line = next((c.line for c in found), _checks_line(contract))
        yield line, f"the contract needs a 'freshness' check of {ARRIVAL} at level warn"


def _same(written: object, codes: tuple[str, ...]) -> bool:
    return isinstance(written, Items) and tuple(written) == codes


Rule = Callable[[Contract, Table], Found]
POLICY: tuple[Rule, ...] = (
    schema_is_checked,
    rows_are_counted,
    keys_are_unique,
    required_columns_are_present,
    codes_are_known,
    references_hold,
    numbers_are_bounded,
    limits_fit_the_type,
    arrival_is_watched,
)
