"""Tests of models: rows given and rows expected, in YAML beside the model, run on any engine.

``silver/users.test.yaml`` lies beside ``silver/users.sql`` and holds a list of cases; CONTRIBUTING.md says what a case
may say.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from itertools import zip_longest
from pathlib import Path
from typing import Annotated, Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    TypeAdapter,
    ValidationError,
)

from lake.errors import ModelError
from lake.table import TEXT, Layer
from lake.tables import table as declared
from sql.engines.engine import Engine
from sql.model import BROKEN_RULES, Model

# Engines add up floats in orders of their own.
FLOAT_TOLERANCE = 1e-9
_SUFFIX = ".test.yaml"
_INGEST = {"_ingested_at": datetime(2026, 1, 1, tzinfo=UTC), "_source": "given.csv", "_batch_id": "given"}
_SCALARS = yaml.constructor.SafeConstructor()
_TIMESTAMP_TAG = "tag:yaml.org,2002:timestamp"

Scalar = StrictBool | StrictInt | StrictFloat | StrictStr | None
Row = Mapping[str, Any]
_Place = tuple[str | int, ...]


class _Case(BaseModel):
    """A case as written."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[StrictStr, Field(min_length=1)]
    given: dict[str, list[dict[str, Scalar]]]
    expect: list[dict[str, Scalar]]
    order: StrictBool = False


_CASES = TypeAdapter(list[_Case])


@dataclass(frozen=True, slots=True)
class ModelTest:
    """One case.

    Args:
        name: What it shows.
        model: Model it tests.
        where: File and line.
        given: Rows of tables the model reads; the others have none.
        columns: Columns that are compared.
        expect: Rows the model yields, values typed as declared.
        in_order: Whether their order counts.
    """

    name: str
    model: Model
    where: str
    given: Mapping[str, pa.Table]
    columns: tuple[str, ...]
    expect: tuple[Row, ...]
    in_order: bool


def output_schema(model: Model) -> pa.Schema:
    """Columns and types a model yields, as Arrow schema."""
    schema = model.table.schema
    return schema.append(pa.field(BROKEN_RULES, TEXT)) if model.table.layer is Layer.SILVER else schema


def load_model_tests(directory: Path, models: Mapping[str, Model]) -> tuple[ModelTest, ...]:
    """Every case below `directory`, file by file.

    Args:
        directory: Holds one folder per layer, as for load_models.
        models: Models by table name.

    Raises:
        ModelError: With file and line: not valid YAML, an unknown key, table or column, a value that is not of its
            column's type, a table the model does not read, two cases of one name, a file without a model.
    """
    tests: list[ModelTest] = []
    for path in sorted(directory.glob(f"*/**/*{_SUFFIX}")):
        name = f"{path.relative_to(directory).parts[0]}.{path.name.removesuffix(_SUFFIX)}"
        _require_known(name, models, "model", str(path))
        tests += _File(path, models[name]).tests()
    return tuple(tests)


def run_model_test(test: ModelTest, engine: Engine, directory: Path) -> tuple[str, ...]:
    """Run a case.

    Args:
        test: The case.
        engine: An entered engine; the tables the model reads are replaced in it.
        directory: For the given rows as Parquet; not used by another run, as engines may read it later.

    Returns:
        How the rows differ from those expected, one line each; none when they do not.

    Raises:
        ModelError, StorageError: As the engine's run.
    """
    for name in sorted(test.model.depends_on):
        files: tuple[Path, ...] = ()
        if name in test.given:
            files = (directory / f"{name}.parquet",)
            pq.write_table(test.given[name], files[0])
        engine.register(declared(name), files)
    yielded = engine.run(test.model.sql, output_schema(test.model), str(test.model.path)).read_all()
    rows = yielded.select(test.columns).to_pylist()
    return _in_order(test.expect, rows) if test.in_order else _in_any_order(test.expect, rows)


def _in_order(expected: Sequence[Row], rows: Sequence[Row]) -> tuple[str, ...]:
    pairs = enumerate(zip_longest(expected, rows), 1)
    return tuple(
        f"row {number}: expected {_shown(wanted)}, not {_shown(row)}"
        for number, (wanted, row) in pairs
        if wanted is None or row is None or not _equal(wanted, row)
    )


def _in_any_order(expected: Sequence[Row], rows: Sequence[Row]) -> tuple[str, ...]:
    left, missing = list(rows), []
    for wanted in expected:
        found = next((n for n, row in enumerate(left) if _equal(wanted, row)), None)
        if found is None:
            missing.append(f"missing: {_shown(wanted)}")
        else:
            left.pop(found)
    return (*missing, *(f"not expected: {_shown(row)}" for row in left))


def _equal(wanted: Row, row: Row) -> bool:
    return all(
        math.isclose(value, row[name], rel_tol=FLOAT_TOLERANCE)
        if isinstance(value, float) and row[name] is not None
        else value == row[name]
        for name, value in wanted.items()
    )


def _shown(row: Row | None) -> str:
    if row is None:
        return "no row"
    return "{" + ", ".join(f"{name}: {'null' if value is None else value}" for name, value in row.items()) + "}"


class _File:
    """A test file that is being read; knows the line of everything in it."""

    def __init__(self, path: Path, model: Model) -> None:
        self._path, self._model = path, model
        self._lines: dict[_Place, int] = {}

    def tests(self) -> list[ModelTest]:
        try:
            cases = _CASES.validate_python(self._read())
        except ValidationError as error:
            # A misspelt key says more than the one that is missing for it.
            first = min(error.errors(include_url=False), key=lambda e: e["type"] != "extra_forbidden")
            mend = f"allowed: {', '.join(_Case.model_fields)}" if first["type"] == "extra_forbidden" else None
            key = ".".join(str(part) for part in first["loc"][1:]) or "the file"
            raise ModelError(f"{key}: {first['msg']}", where=self._where(first["loc"]), mend=mend) from None
        names = [case.name for case in cases]
        for number, name in enumerate(names):
            if name in names[:number]:
                raise ModelError(f"two cases are named {name!r}", where=self._where((number, "name")))
        return [self._test(number, case) for number, case in enumerate(cases)]

    def _test(self, number: int, case: _Case) -> ModelTest:
        given = {}
        for name, rows in case.given.items():
            place = (number, "given", name)
            _require_known(name, self._model.depends_on, "table the model reads", self._where(place))
            schema = declared(name).schema
            typed = [
                {**_INGEST, "_line": line, **self._typed(row, schema, (*place, line - 1))}
                for line, row in enumerate(rows, 1)
            ]
            given[name] = pa.Table.from_pylist(typed, schema=schema)
        schema = output_schema(self._model)
        expect = tuple(self._typed(row, schema, (number, "expect", index)) for index, row in enumerate(case.expect))
        columns = tuple(expect[0]) if expect else tuple(schema.names)
        for index, row in enumerate(expect):
            if row.keys() != set(columns):
                raise ModelError(
                    f"expected rows name the same columns: {', '.join(columns)}",
                    where=self._where((number, "expect", index)),
                )
        return ModelTest(case.name, self._model, self._where((number,)), given, columns, expect, case.order)

    def _typed(self, row: Mapping[str, Scalar], schema: pa.Schema, place: _Place) -> dict[str, Any]:
        typed = {}
        for name, value in row.items():
            where = self._where((*place, name))
            _require_known(name, schema.names, "column", where)
            try:
                typed[name] = None if value is None else _typed_value(value, schema.field(name).type)
            except (TypeError, ValueError, InvalidOperation):
                kind = schema.field(name).type
                raise ModelError(f"{name} is {kind}, not {value!r}", where=where, mend=_mend(kind)) from None
        return typed

    def _read(self) -> Any:
        try:
            node = yaml.compose(self._path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
        except (OSError, UnicodeDecodeError) as error:
            raise ModelError(f"cannot be read: {error}", where=str(self._path)) from None
        except yaml.MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark else 1
            raise ModelError(f"not valid YAML: {error.problem}", where=f"{self._path}:{line}") from None
        return None if node is None else self._plain(node, ())

    def _plain(self, node: yaml.Node, place: _Place) -> Any:
        self._lines.setdefault(place, node.start_mark.line + 1)
        if isinstance(node, yaml.SequenceNode):
            return [self._plain(item, (*place, index)) for index, item in enumerate(node.value)]
        if isinstance(node, yaml.MappingNode):
            values: dict[str, Any] = {}
            for key, value in node.value:
                inner = (*place, str(key.value))
                self._lines[inner] = key.start_mark.line + 1
                if key.value in values:
                    raise ModelError(f"{key.value!r} stands here twice", where=self._where(inner))
                values[str(key.value)] = self._plain(value, inner)
            return values
        # Read by the declared type, as YAML would give a moment without a zone one of its own.
        return node.value if node.tag == _TIMESTAMP_TAG else _SCALARS.construct_object(node)

    def _where(self, place: _Place) -> str:
        known = next((place[:n] for n in range(len(place), 0, -1) if place[:n] in self._lines), ())
        return f"{self._path}:{self._lines.get(known, 1)}"


def _require_known(name: str, known: Collection[str], what: str, where: str) -> None:
    if name not in known:
        near = difflib.get_close_matches(name, known, n=2)
        mend = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(sorted(known))}"
        raise ModelError(f"{name} is no {what}", where=where, mend=mend)


def _typed_value(value: Scalar, kind: pa.DataType) -> Any:
    """A value of YAML as one of the declared type.

    Raises:
        TypeError, ValueError, InvalidOperation: It is none.
    """
    if pa.types.is_floating(kind) and type(value) in (int, float):
        return float(value)  # type: ignore[arg-type]
    if (pa.types.is_boolean(kind) and isinstance(value, bool)) or (pa.types.is_integer(kind) and type(value) is int):
        return value
    if not isinstance(value, str):
        raise TypeError
    if pa.types.is_string(kind):
        return value
    if pa.types.is_decimal(kind):
        # Refuses what does not fit instead of rounding it.
        return pa.scalar(Decimal(value), pa.decimal128(kind.precision, kind.scale)).as_py()
    if pa.types.is_date(kind):
        return date.fromisoformat(value)
    moment = datetime.fromisoformat(value)
    if not pa.types.is_timestamp(kind) or moment.tzinfo is None:
        raise ValueError
    return moment.astimezone(UTC)


def _mend(kind: pa.DataType) -> str | None:
    if pa.types.is_decimal(kind):
        return "write money as quoted text: '10.50'"
    if pa.types.is_timestamp(kind):
        return "write moments with their zone: 2025-03-01T12:00:00Z"
    return "write it in quotes" if pa.types.is_string(kind) else None
