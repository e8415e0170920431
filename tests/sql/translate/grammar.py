"""Random expressions of DuckDB's dialect over the columns of `edges.EDGES`, by type."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import strategies as st

Text = st.SearchStrategy[str]
_DEPTH = 3


def _leaves(*texts: str) -> Text:
    return st.sampled_from(texts)


def _joined(pattern: str, *parts: Text) -> Text:
    return st.tuples(*parts).map(lambda texts: pattern.format(*texts))


def expressions(depth: int = _DEPTH) -> Text:
    """An expression of any type."""
    return st.one_of(*(make(depth) for make in (integers, decimals, doubles, texts, dates, moments, truths)))


def integers(depth: int) -> Text:
    leaves = _leaves("i", "b", "s", "0", "1", "-3", "7", "id", "3000000000")
    if depth == 0:
        return leaves
    a, d, f, t, y, m = (make(depth - 1) for make in (integers, decimals, doubles, texts, dates, moments))
    return st.one_of(
        leaves,
        _joined("({} {} {})", a, _leaves("+", "-", "*"), a),
        _joined("({} {} {})", a, _leaves("//", "%"), _leaves("2", "-3", "nullif(s, 0)", "b")),
        _joined("(-{})", a),
        _joined("abs({})", a),
        _joined("cast({} as {})", st.one_of(a, d, f), _leaves("integer", "bigint")),
        _joined("length({})", t),
        _joined("position('b' in {})", t),
        _joined(
            "extract({} from {})", _leaves("year", "month", "day", "dow", "week", "quarter", "doy"), st.one_of(y, m)
        ),
        _joined("date_diff('{}', {}, {})", _leaves("day", "month", "year", "quarter"), y, st.one_of(y, m)),
        _joined("({} - {})", y, y),
        _choices(depth, integers),
    )


def decimals(depth: int) -> Text:
    leaves = _leaves("d", "w", "0.5", "-1.25", "12.345", "cast(2 as decimal(9, 3))")
    if depth == 0:
        return leaves
    a, i = decimals(depth - 1), integers(depth - 1)
    return st.one_of(
        leaves,
        _joined("({} {} {})", a, _leaves("+", "-", "*"), st.one_of(a, i)),
        _joined("({} % {})", a, _leaves("2", "1.5", "-3")),
        _joined("(-{})", a),
        _joined("abs({})", a),
        _joined("{}({})", _leaves("floor", "ceil", "round"), a),
        _joined("round({}, {})", a, _leaves("0", "1", "3")),
        _joined("cast({} as {})", st.one_of(a, i, doubles(depth - 1)), _leaves("decimal(18, 1)", "decimal(38, 4)")),
        _choices(depth, decimals),
    )


def doubles(depth: int) -> Text:
    leaves = _leaves("f", "cast(0.5 as double)", "1e3", "cast(d as double)")
    if depth == 0:
        return leaves
    a, number = doubles(depth - 1), st.one_of(integers(depth - 1), decimals(depth - 1), doubles(depth - 1))
    return st.one_of(
        leaves,
        _joined("({} {} {})", a, _leaves("+", "-", "*"), number),
        _joined("({} / {})", number, number),
        _joined("(-{})", a),
        _joined("sqrt(abs({}))", number),
        _joined("{}({})", _leaves("floor", "ceil", "round"), a),
        _joined("round({}, 2)", a),
        _choices(depth, doubles),
    )


def texts(depth: int) -> Text:
    leaves = _leaves("v", "u", "g", "''", "'aB'", "'ß '", "' x'")
    if depth == 0:
        return leaves
    a, i = texts(depth - 1), integers(depth - 1)
    return st.one_of(
        leaves,
        _joined("({} || {})", a, st.one_of(a, i, decimals(depth - 1), dates(depth - 1), truths(depth - 1))),
        _joined("concat({}, {})", a, a),
        _joined("{}({})", _leaves("lower", "upper", "trim", "ltrim", "rtrim"), a),
        _joined("substr({}, {}, {})", a, _leaves("1", "2", "0", "-2", "s", "-9"), _leaves("1", "3", "0", "-1", "b")),
        _joined("substr({}, {})", a, _leaves("1", "3", "-2", "0", "b")),
        _joined("left({}, {})", a, _leaves("0", "2")),
        _joined("right({}, {})", a, _leaves("0", "2")),
        _joined("replace({}, {}, {})", a, a, a),
        _choices(depth, texts),
    )


def dates(depth: int) -> Text:
    leaves = _leaves("dt", "dt2", "date '2024-02-29'", "date '2023-12-31'")
    if depth == 0:
        return leaves
    a = dates(depth - 1)
    return st.one_of(
        leaves,
        _joined("({} {} {})", a, _leaves("+", "-"), _leaves("1", "s", "31")),
        _joined("cast({} as date)", moments(depth - 1)),
        _joined("last_day({})", a),
        _joined("make_date(year({0}), month({0}), 1)", a),
        _choices(depth, dates),
    )


def moments(depth: int) -> Text:
    leaves = _leaves("ts", "tz", "timestamp '2024-02-29 23:59:59.999999'")
    if depth == 0:
        return leaves
    a = st.one_of(moments(depth - 1), dates(depth - 1))
    unit = _leaves("day", "month", "year", "week", "hour")
    return st.one_of(
        leaves,
        _joined("date_trunc('{}', {})", _leaves("day", "month", "quarter", "year", "week"), a),
        _joined("({} {} interval {} {})", a, _leaves("+", "-"), _leaves("1", "13", "(s)"), unit),
        _joined("cast({} as timestamp)", a),
    )


def truths(depth: int) -> Text:
    leaves = _leaves("bo", "true", "false", "b is null", "v is not null")
    if depth == 0:
        return leaves
    a = truths(depth - 1)
    comparison = _leaves("=", "<>", "<", "<=", ">", ">=", "is distinct from", "is not distinct from")
    return st.one_of(
        leaves,
        *(_joined("({} {} {})", make(depth - 1), comparison, make(depth - 1)) for make in (integers, texts, dates)),
        _joined("({} {} {})", decimals(depth - 1), comparison, st.one_of(decimals(depth - 1), integers(depth - 1))),
        _joined("({} {} {})", a, _leaves("and", "or"), a),
        _joined("(not {})", a),
        _joined("({} like {})", texts(depth - 1), _leaves("'%b%'", "'A_c'", "'a!%' escape '!'", "u")),
        _joined("({} ilike {})", texts(depth - 1), _leaves("'%B%'", "'abc'", "'%ß'")),
        _joined("({} between {} and {})", *(decimals(depth - 1) for _ in range(3))),
        _joined("({} in ({}, {}))", *(integers(depth - 1) for _ in range(3))),
        _choices(depth, truths),
    )


def _choices(depth: int, make: Callable[[int], Text]) -> Text:
    a = make(depth - 1)
    test = truths(depth - 1) if make is not truths else _leaves("bo", "b > 2")
    functions = [_joined("coalesce({}, {})", a, a), _joined("case when {} then {} else {} end", test, a, a)]
    if make is not truths:
        functions += [_joined("nullif({}, {})", a, a), _joined("{}({}, {})", _leaves("greatest", "least"), a, a)]
    return st.one_of(*functions)
