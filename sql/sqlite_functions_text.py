"""Text as DuckDB sees it: case letter by letter, patterns that tell capitals apart, numbers read strictly."""

from __future__ import annotations

import re
from decimal import Decimal
from functools import lru_cache

from sql.sqlite_functions_decimals import decimal_fit
from sql.sqlite_functions_numbers import int_fit, present

_INTEGER = re.compile(r"\s*[+-]?[0-9]+\s*", re.ASCII)
_DECIMAL = re.compile(r"\s*[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)\s*", re.ASCII)
_DOUBLE = re.compile(r"\s*[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?\s*", re.ASCII)
_TRUE, _FALSE = ("true", "t", "yes", "y", "1"), ("false", "f", "no", "n", "0")
# DuckDB's mapping of single letters; Python's makes it two.
_CAPITAL_SHARP_S = "\u1e9e"
# Patterns are few and rows many.
_CACHED_PATTERNS = 1024


def text_lower(text: str) -> str:
    """Lower case, letter by letter: the last sigma of a word is like the others."""
    return text.lower() if text.isascii() else "".join(map(_lower, text))


def text_upper(text: str) -> str:
    """Upper case, letter by letter: a letter whose capital is two letters stays, but for the sharp s."""
    return text.upper() if text.isascii() else "".join(map(_upper, text))


@lru_cache(_CACHED_PATTERNS)
def _lower(letter: str) -> str:
    return letter.lower()[0]


@lru_cache(_CACHED_PATTERNS)
def _upper(letter: str) -> str:
    if letter == "ß":
        return _CAPITAL_SHARP_S
    upper, title = letter.upper(), letter.title()
    return next((one for one in (upper, title) if len(one) == 1), letter)


def text_replace(text: str, old: str, new: str) -> str:
    """`text` with every `old` replaced; an empty one is nowhere."""
    return text.replace(old, new) if old else text


def text_like(text: str, pattern: str, escape: str) -> int:
    """Whether the whole text is like the pattern; % is any text, _ any character, both plain behind `escape`."""
    return int(_compiled(pattern, escape).fullmatch(text) is not None)


def text_ilike(text: str, pattern: str, escape: str) -> int:
    """As text_like, after both are in lower case."""
    return text_like(text_lower(text), text_lower(pattern), escape)


@lru_cache(_CACHED_PATTERNS)
def _compiled(pattern: str, escape: str) -> re.Pattern[str]:
    parts = []
    letters = iter(pattern)
    for letter in letters:
        if escape and letter == escape:
            plain = next(letters, None)
            if plain is None:
                raise ValueError(f"pattern '{pattern}' ends with its escape character")
            parts.append(re.escape(plain))
        else:
            parts.append({"%": ".*", "_": "."}.get(letter) or re.escape(letter))
    return re.compile("".join(parts), re.DOTALL)


def text_to_int(text: str, bits: int) -> int:
    """The whole number a text is; an error when it is none, or does not fit."""
    return int_fit(int(_matched(_INTEGER, text)), bits)


def text_to_decimal(text: str, precision: int, scale: int) -> str:
    """The decimal a text is, halves away from zero; an error when it is none, or does not fit."""
    return decimal_fit(str(Decimal(_matched(_DECIMAL, text))), precision, scale)


def text_to_double(text: str) -> float:
    """The double a text is; an error when it is none."""
    return present(float(_matched(_DOUBLE, text)))


def text_to_boolean(text: str) -> int:
    """Whether a text says yes.

    Raises:
        ValueError: It is none of the words.
    """
    word = text.lower()
    if word not in (*_TRUE, *_FALSE):
        raise ValueError(f"'{text}' is neither true nor false")
    return int(word in _TRUE)


def _matched(form: re.Pattern[str], text: str) -> str:
    if not form.fullmatch(text):
        raise ValueError(f"'{text}' is no number written plainly")
    return text.strip()
