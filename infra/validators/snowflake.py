"""Snowflake scripts: every statement can be read, every option exists, and what they name is made by one of them."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

_DIALECT = "snowflake"
# Values of `snow sql --variable`, and what stands for them while a script is judged.
VARIABLES = {"mirror_url": "azure://account.blob.core.windows.net/mirror/lake", "azure_tenant_id": "tenant"}
_VARIABLE = re.compile(r"<%\s*(\w+)\s*%>")
_CREATE = re.compile(
    r"CREATE (?:OR REPLACE )?(?P<kind>[A-Z ]+?) (?:IF NOT EXISTS )?(?P<name>[a-z_][\w.]*)(?P<rest>.*)", re.DOTALL
)
_OPTION = re.compile(r"\b([A-Z][A-Z_]+)\s*=(?!>)")
_TEXT = re.compile(r"'(?:[^']|'')*'")
_BODY = re.compile(r"\nAS\n", re.IGNORECASE)
# Made by Snowflake itself.
_SYSTEM_ROLES = {"accountadmin", "securityadmin", "useradmin", "sysadmin"}
_SYSTEM_SCHEMA = "information_schema"


@dataclass(frozen=True, slots=True)
class Options:
    """Options of a CREATE statement, by its page in Snowflake's SQL reference; only those this project may use."""

    required: frozenset[str]
    optional: frozenset[str] = frozenset()


def _options(required: str = "", optional: str = "") -> Options:
    return Options(frozenset(required.split()), frozenset(f"COMMENT {optional}".split()))


_OPTIONS = {
    "CATALOG INTEGRATION": _options("CATALOG_SOURCE TABLE_FORMAT ENABLED", "REFRESH_INTERVAL_SECONDS"),
    "DATABASE": _options(),
    "EXTERNAL VOLUME": _options(
        "STORAGE_LOCATIONS NAME STORAGE_PROVIDER STORAGE_BASE_URL", "ALLOW_WRITES AZURE_TENANT_ID STORAGE_AWS_ROLE_ARN"
    ),
    "FILE FORMAT": _options("TYPE", "PARSE_HEADER FIELD_OPTIONALLY_ENCLOSED_BY"),
    "ICEBERG TABLE": _options("EXTERNAL_VOLUME CATALOG BASE_LOCATION", "AUTO_REFRESH"),
    "RESOURCE MONITOR": _options("CREDIT_QUOTA", "FREQUENCY START_TIMESTAMP"),
    "ROLE": _options(),
    "SCHEMA": _options(),
    "STAGE": _options("URL STORAGE_INTEGRATION", "FILE_FORMAT FORMAT_NAME DIRECTORY ENABLE"),
    "STORAGE INTEGRATION": _options(
        "TYPE STORAGE_PROVIDER ENABLED STORAGE_ALLOWED_LOCATIONS", "AZURE_TENANT_ID STORAGE_AWS_ROLE_ARN"
    ),
    "TABLE": _options(),
    "TASK": _options("WAREHOUSE", "SCHEDULE TIMEZONE USER_TASK_TIMEOUT_MS SUSPEND_TASK_AFTER_NUM_FAILURES"),
    "VIEW": _options(),
    "WAREHOUSE": _options(
        "WAREHOUSE_SIZE AUTO_SUSPEND", "AUTO_RESUME INITIALLY_SUSPENDED STATEMENT_TIMEOUT_IN_SECONDS"
    ),
}
# SQLGlot reads these as a mere text; the patterns say what such a text has to be.
_UNREAD = {
    "CREATE": re.compile(
        r"CREATE (?:ROLE|RESOURCE MONITOR|EXTERNAL VOLUME|CATALOG INTEGRATION) IF NOT EXISTS \w+\b.*", re.DOTALL
    ),
    "GRANT": re.compile(
        r"GRANT (?:ROLE \w+|EXECUTE TASK ON ACCOUNT|OWNERSHIP ON DATABASE \w+|USAGE ON [A-Z ]+ [\w.]+"
        r"|SELECT ON FUTURE (?:TABLES|VIEWS) IN SCHEMA [\w.]+) TO ROLE \w+(?: COPY CURRENT GRANTS)?"
    ),
    "ALTER": re.compile(r"ALTER WAREHOUSE \w+ SET RESOURCE_MONITOR = \w+"),
    "DROP": re.compile(r"DROP (?:EXTERNAL VOLUME|CATALOG INTEGRATION|RESOURCE MONITOR) IF EXISTS \w+"),
}
_INTEGRATIONS = {"STORAGE INTEGRATION", "CATALOG INTEGRATION"}
_STATEMENTS = (exp.Command, exp.Create, exp.Drop, exp.Grant, exp.Insert, exp.Query, exp.Use)
# What an option, a grant or a USE names: the kinds of object it may be.
_NAMED = (
    (re.compile(r"\bWAREHOUSE = (\w+)"), {"WAREHOUSE"}),
    (re.compile(r"\bRESOURCE_MONITOR = (\w+)"), {"RESOURCE MONITOR"}),
    (re.compile(r"\bSTORAGE_INTEGRATION = (\w+)"), {"STORAGE INTEGRATION"}),
    (re.compile(r"\bEXTERNAL_VOLUME = '(\w+)'"), {"EXTERNAL VOLUME"}),
    (re.compile(r"\bCATALOG = '(\w+)'"), {"CATALOG INTEGRATION"}),
    (re.compile(r"\bFORMAT_NAME = '([\w.]+)'"), {"FILE FORMAT"}),
    (re.compile(r"\bON INTEGRATION (\w+)"), _INTEGRATIONS),
    (re.compile(r"\bDROP (?:CATALOG|STORAGE) INTEGRATION IF EXISTS (\w+)"), _INTEGRATIONS),
    (re.compile(r"\b(?:ON|USE|DROP) WAREHOUSE (?:IF EXISTS )?(\w+)"), {"WAREHOUSE"}),
    (re.compile(r"\b(?:ON|USE|DROP) DATABASE (?:IF EXISTS )?(\w+)"), {"DATABASE"}),
    (re.compile(r"\b(?:ON|DROP) EXTERNAL VOLUME (?:IF EXISTS )?(\w+)"), {"EXTERNAL VOLUME"}),
    (re.compile(r"\b(?:ON|IN) SCHEMA lakehouse\.(\w+)"), {"SCHEMA"}),
    (re.compile(r"\bDROP RESOURCE MONITOR IF EXISTS (\w+)"), {"RESOURCE MONITOR"}),
    (re.compile(r"\b(?:USE|GRANT|TO|DROP) ROLE (?:IF EXISTS )?(\w+)"), {"ROLE"}),
)  # fmt: skip


def problems(path: Path) -> list[str]:
    """What is wrong with a script, a line each; empty when it is valid.

    Args:
        path: What it names may be made by any script of its folder.
    """
    known = _created(path.parent)
    found: list[str] = []
    # SQLGlot says aloud that it falls back to text; what such text has to be is judged below.
    logging.getLogger("sqlglot").setLevel(logging.ERROR)
    for line, statement in statements(path):
        told = list(_variable_problems(statement)) or list(_statement_problems(_filled(statement), known))
        found += (f"line {line}: {problem}" for problem in told)
    return found


def statements(path: Path) -> Iterator[tuple[int, str]]:
    """The statements of a script without comments, each with the line it begins on; a semicolon ends a line."""
    line, begun, gathered = 0, 0, list[str]()
    for line, text in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if text.startswith("--") or not (text.strip() or gathered):
            continue
        begun = begun if gathered else line
        gathered.append(text)
        if text.endswith(";"):
            yield begun, "\n".join(gathered)[:-1]
            gathered = []
    if gathered:
        yield begun, "\n".join(gathered)


def task_body(statement: str) -> str | None:
    """The statement that a CREATE TASK runs; None of any other."""
    created = _CREATE.match(statement)
    if created is None or created["kind"] != "TASK":
        return None
    return _BODY.split(statement, maxsplit=1)[-1]


def _created(folder: Path) -> dict[str, set[str]]:
    known: dict[str, set[str]] = {"ROLE": set(_SYSTEM_ROLES)}
    for path in sorted(folder.glob("*.sql")):
        for _, statement in statements(path):
            # What a task makes is there once it has run.
            for text in (statement, task_body(statement) or ""):
                if found := _CREATE.match(text):
                    known.setdefault(found["kind"], set()).add(found["name"])
    return known


def _filled(statement: str) -> str:
    return _VARIABLE.sub(lambda found: VARIABLES[found[1]], statement)


def _variable_problems(statement: str) -> Iterator[str]:
    yield from (f"<% {n} %> is no variable of the scripts" for n in _VARIABLE.findall(statement) if n not in VARIABLES)


def _statement_problems(statement: str, known: dict[str, set[str]]) -> Iterator[str]:
    body = task_body(statement)
    head = statement if body is None else _BODY.split(statement, maxsplit=1)[0]
    try:
        tree = sqlglot.parse_one(head if body is None else body, dialect=_DIALECT)
    except SqlglotError as error:
        yield f"cannot be read: {str(error).splitlines()[0]}"
        return
    word = statement.split(maxsplit=1)[0]
    is_unread = isinstance(tree, exp.Command) and not (word in _UNREAD and _UNREAD[word].fullmatch(head))
    if is_unread or not isinstance(tree, _STATEMENTS):
        yield f"is no statement of a known shape: {' '.join(head.split())[:80]}"
        return
    yield from _option_problems(head)
    yield from _name_problems(head, known)
    # Of a grant, names are judged above; SQLGlot takes its schema for a table.
    if not isinstance(tree, exp.Grant | exp.Use | exp.Drop):
        yield from _table_problems(tree, known)


def _option_problems(head: str) -> Iterator[str]:
    created = _CREATE.match(head)
    if created is None:
        return
    if created["kind"] not in _OPTIONS:
        yield f"CREATE {created['kind']} is not known; add it to infra/validators/snowflake.py"
        return
    options = _OPTIONS[created["kind"]]
    given = set(_OPTION.findall(_TEXT.sub("''", created["rest"])))
    yield from (
        f"CREATE {created['kind']} has no option {o}" for o in sorted(given - options.required - options.optional)
    )
    yield from (f"CREATE {created['kind']} needs the option {o}" for o in sorted(options.required - given))


def _name_problems(head: str, known: dict[str, set[str]]) -> Iterator[str]:
    for pattern, kinds in _NAMED:
        for name in pattern.findall(head):
            if not any(name.lower() in known.get(kind, ()) for kind in kinds):
                yield f"{' or '.join(sorted(kinds)).lower()} {name} is made by none of the scripts"
    if after := re.search(r"\bAFTER ([\w., ]+)", head):
        for name in after[1].split(", "):
            if name not in known.get("TASK", ()):
                yield f"task {name} is made by none of the scripts"


def _table_problems(tree: exp.Expr, known: dict[str, set[str]]) -> Iterator[str]:
    """Tables that a query reads, and schemas that something is made in."""
    tables = set().union(*(known.get(kind, set()) for kind in ("TABLE", "ICEBERG TABLE", "VIEW")))
    named = {cte.alias for cte in tree.find_all(exp.CTE)}
    made = tree.this.find(exp.Table) if isinstance(tree, exp.Create) and tree.this else None
    for table in tree.find_all(exp.Table):
        schema, name = table.db, f"{table.db}.{table.name}"
        if table is made:
            if schema and schema not in known.get("SCHEMA", ()):
                yield f"schema {schema} is made by none of the scripts"
        elif schema and schema != _SYSTEM_SCHEMA and name not in tables:
            yield f"table {name} is made by none of the scripts"
        elif not schema and isinstance(table.this, exp.Identifier) and table.name not in named and _is_read(table):
            yield f"table {table.name} names no schema"


def _is_read(table: exp.Table) -> bool:
    return isinstance(table.parent, exp.From | exp.Join)
