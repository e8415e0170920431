"""A check in words: what it allows, what was measured, and the rows that show it."""

from __future__ import annotations

from typing import Any

from lake.table import Table
from tasks.contract_keys import COMPARISONS, RANGES
from tasks.contract_yaml import Block, DeclaredCheck

MAX_VALUE_CHARACTERS = 200
"""Longer values of sample rows are cut; a row may hold text of megabytes."""

_TRACE = ("_source", "_line")


def allowed(check: DeclaredCheck) -> str:
    """What a check allows, such as ``0 values below 0`` or ``more than 0 rows (else warn)``."""
    threshold = check.threshold
    comparison = next((_bound(k, v) for k, v in threshold.items() if k in COMPARISONS or k in RANGES), "0")
    percent = " %" if threshold.get("metric") == "percent" else ""
    level = " (else warn)" if threshold.get("level") == "warn" else ""
    return f"{comparison}{percent} {_counted(check)}{level}"


def measured(check: DeclaredCheck, result: Any) -> str | None:
    """What Soda measured, as text with its unit; None when it measured nothing."""
    if check.type == "schema":
        return _differences(result)
    value = result.threshold_value
    if value is None:
        return None
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    if check.threshold.get("metric") == "percent":
        return f"{text} %"
    unit = check.threshold.get("unit")
    return f"{text} {unit}s" if unit else text


def failing_rows(check: DeclaredCheck, table: Table) -> str | None:
    """A SELECT of the rows a check refuses; None for checks of the table as a whole."""
    view = f'{quoted(table.layer)}.{quoted(table.name)} AS "_checked"'
    body = check.body
    if check.type == "duplicate":
        key = ", ".join(quoted(c) for c in _key(check))
        return f"SELECT {key}, count(*) AS rows FROM {view} GROUP BY {key} HAVING count(*) > 1"
    if check.type == "failed_rows" and "query" in body:
        return str(body["query"]).strip().rstrip(";")
    if check.type == "failed_rows":
        condition = str(body["expression"])
    elif check.type in ("missing", "invalid"):
        assert check.column is not None
        column = quoted(check.column)
        condition = f"{column} IS NULL" if check.type == "missing" else f"{column} IS NOT NULL AND ({_broken(check)})"
    else:
        return None
    shown = ", ".join(quoted(c) for c in _shown_columns(check, table))
    return f"SELECT {shown} FROM {view} WHERE {condition}"


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def in_short(sample: dict[str, Any]) -> str:
    """A sample row as one phrase, such as ``payment_id=p1 amount=-5.00 (payments/a.csv line 7)``."""
    values = " ".join(f"{name}={_shown(value)}" for name, value in sample.items() if name not in _TRACE)
    source, line = (sample.get(name) for name in _TRACE)
    return f"{values} ({source} line {line})" if source else values


def _shown(value: object) -> str:
    return "NULL" if value is None else str(value)


def _bound(comparison: str, value: object) -> str:
    if isinstance(value, Block):
        lower, upper = (value.get(key, value.get(f"{key}_or_equal")) for key in ("greater_than", "less_than"))
        return f"{RANGES[comparison]} {lower} and {upper}"
    # "exactly 0 missing values" says no more than "0 missing values".
    return f"{value}" if comparison == "must_be" else f"{COMPARISONS[comparison]} {value}"


def _counted(check: DeclaredCheck) -> str:  # noqa: PLR0911 - one line per check type
    body = check.body
    match check.type:
        case "schema":
            return "differences from the declaration"
        case "row_count":
            return "rows"
        case "freshness":
            return f"{check.threshold.get('unit')}s since the newest {body.get('column')}"
        case "missing":
            return "missing values"
        case "duplicate":
            return f"duplicates of {', '.join(_key(check))}"
        case "invalid":
            return f"values {_kept_out(body)}"
        case "failed_rows":
            return f"rows where {body.get('expression') or check.qualifier}"
    return str(check.qualifier or body.get("function"))


def _key(check: DeclaredCheck) -> list[str]:
    return [str(name) for name in check.body.get("columns") or (check.column,)]


def _kept_out(body: Block) -> str:
    """What an invalid value is, in words."""
    words = {
        "valid_values": "other than {}",
        "invalid_values": "equal to {}",
        "valid_format": "that are no {}",
        "invalid_format": "that are {}",
        "valid_min": "below {}",
        "valid_max": "above {}",
        "valid_length": "not {} characters long",
        "valid_min_length": "shorter than {} characters",
        "valid_max_length": "longer than {} characters",
        "valid_reference_data": "unknown to {}",
    }
    key = next(k for k in words if k in body)
    value = body[key]
    if key == "valid_reference_data":
        value = f"{str(value['dataset']).partition('/')[2].replace('/', '.')}.{value['column']}"
    elif isinstance(value, Block):
        value = value["name"]
    elif isinstance(value, list):
        value = ", ".join(str(v) for v in value)
    return words[key].format(value)


def _broken(check: DeclaredCheck) -> str:
    """The condition of an invalid value, in DuckDB's dialect."""
    column, body = f'"_checked".{quoted(str(check.column))}', check.body
    if "valid_reference_data" in body:
        target = body["valid_reference_data"]
        _, layer, name = str(target["dataset"]).split("/")
        known = f'"_known".{quoted(target["column"])}'
        source = f'{quoted(layer)}.{quoted(name)} AS "_known"'
        return f"NOT EXISTS (SELECT 1 FROM {source} WHERE {known} = {column})"
    templates = {
        "valid_values": f"{column} NOT IN ({{}})",
        "invalid_values": f"{column} IN ({{}})",
        "valid_format": f"NOT regexp_matches({column}, {{}})",
        "invalid_format": f"regexp_matches({column}, {{}})",
        "valid_min": f"{column} < {{}}",
        "valid_max": f"{column} > {{}}",
        "valid_length": f"length({column}) <> {{}}",
        "valid_min_length": f"length({column}) < {{}}",
        "valid_max_length": f"length({column}) > {{}}",
    }
    key = next(k for k in templates if k in body)
    value = body[key]["regex"] if isinstance(body[key], Block) else body[key]
    values = value if isinstance(value, list) else [value]
    return templates[key].format(", ".join(_literal(v) for v in values))


def _shown_columns(check: DeclaredCheck, table: Table) -> tuple[str, ...]:
    """The key, what the check looks at, and where the row came from."""
    expression = str(check.body.get("expression", ""))
    looked_at = {check.column} | {c for c in table.column_names if c in expression}
    wanted = {*table.key, *looked_at, *_TRACE}
    return tuple(c for c in table.column_names if c in wanted)


def _differences(result: Any) -> str:
    found = [
        *(f"{name} is missing" for name in result.expected_column_names_not_actual),
        *(f"{name} is not declared" for name in result.actual_column_names_not_expected),
        *(
            f"{m.column} is {m.get_actual().upper()}, not {m.get_expected().upper()}"
            for m in result.column_data_type_mismatches
        ),
        *(("columns stand in another order",) if result.are_columns_out_of_order else ()),
    ]
    return "; ".join(found) or "0"


def _literal(value: object) -> str:
    return "'" + value.replace("'", "''") + "'" if isinstance(value, str) else str(value)
