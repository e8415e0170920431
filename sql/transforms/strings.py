"""Text: case, patterns and places count code points and tell capitals apart, as in DuckDB."""

from __future__ import annotations

from sqlglot import exp

from sql.dialects.refusal import NotCarriedError
from sql.dialects.types import BIGINT, BOOLEAN, VARCHAR, of, put
from sql.transforms.calls import bare, call, number

# What DuckDB's TRIM takes off: the space separators of Unicode, and no tab or line end.
SPACES = " \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
# Java's lower case of these depends on what stands beside them, or is two letters; DuckDB's is neither.
_SPECIAL_CAPITALS, _THEIR_LETTERS = "\u0130\u03a3", "i\u03c3"
# Letters Java writes as several capitals, and the one capital DuckDB gives them; the others stay.
_SEVERAL_CAPITALS = (
    "\u00df\u1f80\u1f81\u1f82\u1f83\u1f84\u1f85\u1f86\u1f87\u1f90\u1f91\u1f92\u1f93\u1f94"
    "\u1f95\u1f96\u1f97\u1fa0\u1fa1\u1fa2\u1fa3\u1fa4\u1fa5\u1fa6\u1fa7\u1fb3\u1fc3\u1ff3"
)
_THEIR_CAPITALS = (
    "\u1e9e\u1f88\u1f89\u1f8a\u1f8b\u1f8c\u1f8d\u1f8e\u1f8f\u1f98\u1f99\u1f9a\u1f9b\u1f9c"
    "\u1f9d\u1f9e\u1f9f\u1fa8\u1fa9\u1faa\u1fab\u1fac\u1fad\u1fae\u1faf\u1fbc\u1fcc\u1ffc"
)
# Letters that Unicode 16 or 17 gave a capital, which Spark knows and DuckDB does not.
_NEW_CAPITALS = "\u019b\u0264\ua7d3\ua7d5"
_TRIMS = {"": "TRIM", "LEADING": "LTRIM", "TRAILING": "RTRIM"}


def trim_spaces_of_unicode(node: exp.Expr) -> exp.Expr:
    """Names the characters a bare TRIM takes off.

    For all targets: their own takes off ASCII's space only.
    """
    if not isinstance(node, exp.Trim):
        return node
    if node.expression is not None and not isinstance(bare(node.expression), exp.Literal):
        raise NotCarriedError(node, "TRIM of characters from a column", "a written text")
    if node.expression is None:
        node.set("expression", put(exp.Literal.string(SPACES), VARCHAR))
    return node


def call_trims(node: exp.Expr) -> exp.Expr:
    """Writes TRIM with its characters as the second argument.

    For SQLite and Snowflake.
    """
    if not isinstance(node, exp.Trim):
        return node
    return call(_TRIMS[str(node.args.get("position") or "")], node.this, node.expression, kind=VARCHAR)


def refuse_trims_of_characters(node: exp.Expr) -> exp.Expr:
    """Refuses TRIM of one side, or of other characters than spaces.

    For Snowflake, whose stand-in in the tests passes over them.
    """
    if isinstance(node, exp.Trim) and (node.args.get("position") or bare(node.expression).name != SPACES):
        raise NotCarriedError(node, "TRIM of one side, or of other characters than spaces", "trim(x), or replace()")
    return node


def trim_for_spark(node: exp.Expr) -> exp.Expr:
    """Writes TRIM in the long form, which takes characters.

    For Spark.
    """
    if isinstance(node, exp.Trim) and not node.args.get("position"):
        node.set("position", "BOTH")
    return node


def change_case_of_unicode(node: exp.Expr) -> exp.Expr:
    """Writes LOWER and UPPER as calls that know all letters.

    For SQLite, whose own know ASCII's.
    """
    if isinstance(node, exp.Lower | exp.Upper):
        return call(f"text_{node.key}", node.this, kind=VARCHAR)
    return node


def match_patterns(node: exp.Expr) -> exp.Expr:
    """Writes LIKE and ILIKE as calls.

    For SQLite, whose LIKE takes a for A, unless a PRAGMA says otherwise.
    """
    escape = ""
    if isinstance(node, exp.Escape):
        pattern, escape = node.this, bare(node.expression).name
        _refuse_open_escape(node)
    elif isinstance(node, exp.Like | exp.ILike) and not isinstance(node.parent, exp.Escape):
        pattern = node
    else:
        return node
    name = "text_ilike" if isinstance(pattern, exp.ILike) else "text_like"
    test = call(name, pattern.this, pattern.expression, escape, kind=BOOLEAN)
    return put(exp.Not(this=test), BOOLEAN) if pattern.args.get("negate") else test


def _refuse_open_escape(node: exp.Escape) -> None:
    letter = bare(node.expression)
    if not isinstance(letter, exp.Literal) or len(letter.this) != 1:
        raise NotCarriedError(node, "ESCAPE of other than one written character", "escape '!'")


def find_places_by_function(node: exp.Expr) -> exp.Expr:
    """Writes POSITION as INSTR, CONTAINS and STARTS_WITH by it.

    For SQLite.
    """
    if isinstance(node, exp.StrPosition):
        return call("INSTR", node.this, node.args["substr"], kind=BIGINT)
    if isinstance(node, exp.Contains):
        return put(exp.GT(this=call("INSTR", node.this, node.expression, kind=BIGINT), expression=number(0)), BOOLEAN)
    if isinstance(node, exp.StartsWith):
        length = call("LENGTH", node.expression.copy(), kind=BIGINT)
        start = call("SUBSTR", node.this, 1, length, kind=VARCHAR)
        return put(exp.EQ(this=start, expression=node.expression), BOOLEAN)
    return node


def name_searches(node: exp.Expr) -> exp.Expr:
    """Writes POSITION, CONTAINS and STARTS_WITH by the functions Spark and Snowflake share.

    For both, where SQLGlot would choose between several.
    """
    if isinstance(node, exp.StrPosition):
        return call("POSITION", node.args["substr"], node.this, kind=BIGINT)
    if isinstance(node, exp.Contains | exp.StartsWith):
        return call(node.key.upper(), node.this, node.expression, kind=BOOLEAN)
    return node


def call_substrings(node: exp.Expr) -> exp.Expr:
    """Writes SUBSTRING, LENGTH and REPLACE as the functions of the same meaning.

    For SQLite, which counts from the end and before a place as DuckDB does; its own REPLACE of an empty text
    passes over a NULL.
    """
    if isinstance(node, exp.Substring):
        return call(
            "SUBSTR", *(a for a in (node.this, node.args.get("start"), node.args.get("length")) if a), kind=VARCHAR
        )
    if isinstance(node, exp.Length):
        return call("LENGTH", node.this, kind=BIGINT)
    if isinstance(node, exp.Replace):
        return call("text_replace", node.this, node.expression, node.args["replacement"], kind=VARCHAR)
    return node


def refuse_places_before_the_text(node: exp.Expr) -> exp.Expr:
    """Refuses SUBSTRING, LEFT and RIGHT at places that are computed, zero or negative.

    For Spark and Snowflake, which take them otherwise than DuckDB.
    """
    if isinstance(node, exp.Substring):
        _require_written(node, node.args.get("start"), 1)
        _require_written(node, node.args.get("length"), 0)
    if isinstance(node, exp.Left | exp.Right):
        _require_written(node, node.expression, 0)
    return node


def _require_written(node: exp.Expr, place: exp.Expr | None, least: int) -> None:
    if place is None:
        return
    value = of(bare(place)).literal
    if not isinstance(value, int) or value < least:
        raise NotCarriedError(
            node, f"{node.key.upper()} at a place that is no written number from {least}", "a written number"
        )


def take_ends_of_text(node: exp.Expr) -> exp.Expr:
    """Writes LEFT and RIGHT of a written length by SUBSTR.

    For SQLite, which has neither.
    """
    if not isinstance(node, exp.Left | exp.Right):
        return node
    _require_written(node, node.expression, 0)
    count = int(bare(node.expression).this)
    if isinstance(node, exp.Left):
        return call("SUBSTR", node.this, 1, count, kind=VARCHAR)
    if count == 0:
        return call("SUBSTR", node.this, 1, 0, kind=VARCHAR)
    return call("SUBSTR", node.this, -count, kind=VARCHAR)


def lower_one_letter_at_a_time(node: exp.Expr) -> exp.Expr:
    """Maps the capitals whose lower case Java takes from their place, before LOWER.

    For Spark, where the last sigma of a word is another letter and a dotted I becomes two.
    """
    if isinstance(node, exp.Lower):
        return call(
            "LOWER", call("TRANSLATE", node.this, _SPECIAL_CAPITALS, _THEIR_LETTERS, kind=VARCHAR), kind=VARCHAR
        )
    return node


def upper_one_letter_at_a_time(node: exp.Expr) -> exp.Expr:
    """Writes UPPER letter by letter, keeping those whose capital would be several letters.

    For Spark, which makes SS of a sharp s; DuckDB gives each letter one capital, or leaves it.
    """
    if not isinstance(node, exp.Upper):
        return node
    letter = put(exp.column("letter"), VARCHAR)
    upper = call("UPPER", letter, kind=VARCHAR)
    is_one = exp.EQ(this=exp.Length(this=upper), expression=number(1))
    is_new = exp.In(this=letter.copy(), expressions=[exp.Literal.string(one) for one in _NEW_CAPITALS])
    has_one = exp.And(this=is_one, expression=exp.Not(this=is_new))
    kept = call("TRANSLATE", letter.copy(), _SEVERAL_CAPITALS, _THEIR_CAPITALS, kind=VARCHAR)
    capital = exp.Case(ifs=[exp.If(this=has_one, true=upper.copy())], default=kept)
    each = exp.Lambda(this=capital, expressions=[exp.to_identifier("letter")])
    letters = call("TRANSFORM", call("SPLIT", node.this, "", kind=VARCHAR), each, kind=VARCHAR)
    return call("ARRAY_JOIN", letters, "", kind=VARCHAR)


def lower_before_ilike(node: exp.Expr) -> exp.Expr:
    """Writes ILIKE as LIKE of both sides in lower case.

    For Spark, whose own lowers the last sigma of a word as Java does.
    """
    if not isinstance(node, exp.ILike):
        return node
    sides = [put(exp.Lower(this=bare(side)), VARCHAR) for side in (node.this, node.expression)]
    return put(exp.Like(this=sides[0], expression=sides[1], negate=node.args.get("negate")), BOOLEAN)


def escape_backslashes_in_patterns(node: exp.Expr) -> exp.Expr:
    """Doubles the backslashes of a written pattern; refuses a computed one.

    For Spark, where a pattern's backslash escapes unless another sign is named.
    """
    if isinstance(node, exp.Like | exp.ILike) and not isinstance(node.parent, exp.Escape):
        pattern = bare(node.expression)
        if not isinstance(pattern, exp.Literal):
            raise NotCarriedError(
                node, f"{node.key.upper()} with a computed pattern, whose backslashes escape", "escape '!'"
            )
        pattern.set("this", pattern.this.replace("\\", "\\\\"))
    return node


def concatenate_without_nulls(node: exp.Expr) -> exp.Expr:
    """Writes CONCAT, which takes NULL for nothing, as || over COALESCE.

    For all targets: their own answers NULL, or is missing.
    """
    if not isinstance(node, exp.Concat):
        return node
    joined: exp.Expr | None = None
    for part in node.expressions:
        text = call("COALESCE", part, "", kind=VARCHAR)
        joined = text if joined is None else put(exp.DPipe(this=joined, expression=text), VARCHAR)
    return put(exp.Paren(this=joined), VARCHAR)
