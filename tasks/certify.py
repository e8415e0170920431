"""Equivalence certificates: what was compared, on what rows, and what every engine made of it.

A certificate lies beside each compiled model and holds for exactly the script and the rows whose hashes it names.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from lake.settings import EngineName, Settings
from sql.compare import FLOAT_TOLERANCE
from sql.compile import COMPILED
from sql.model import MODELS, load_models
from tasks.export import whole_file
from tasks.verify import Files, Verdict, input_hash

# Engines that run a target's scripts.
ENGINES_OF: dict[str, tuple[EngineName, ...]] = {
    "sqlite": ("sqlite",),
    "spark": ("spark", "sail"),
    "snowflake": ("snowflake",),
}
_PACKAGES = {"duckdb": "duckdb", "spark": "pyspark", "sail": "pysail", "snowflake": "fakesnow"}


def write_certificates(verdicts: Sequence[Verdict], inputs: Mapping[str, Files], settings: Settings) -> list[Path]:
    """Write a certificate beside each compiled model for each target that was verified.

    Args:
        verdicts: From verify.
        inputs: What it ran on.
        settings: Tell whether Snowflake was an account or an emulator.

    Raises:
        StorageError: A file cannot be written.
    """
    versions = {v.engine: engine_version(v.engine, settings) for v in verdicts}
    hashes = {source: input_hash(files) for source, files in inputs.items()}
    models, written = load_models(MODELS), []
    for target, engines in ENGINES_OF.items():
        for name in models if any(v.engine in engines for v in verdicts) else ():
            path = certificate_path(target, name)
            own = [v for v in verdicts if v.model == name and v.engine in ("duckdb", *engines)]
            with whole_file(path) as unfinished:
                content = certificate(name, models[name].sha256, path, own, hashes, versions)
                unfinished.write_bytes(orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
            written.append(path)
    return written


def certificate_path(target: str, model: str) -> Path:
    """Where a model's certificate lies."""
    layer, _, name = model.partition(".")
    return COMPILED / target / layer / f"{name}.certificate.json"


def script_hash(certificate: Path) -> str:
    """SHA-256 of the compiled script beside a certificate."""
    name = certificate.name.removesuffix(".certificate.json")
    return hashlib.sha256(certificate.with_name(f"{name}.sql").read_bytes()).hexdigest()


def certificate(
    model: str,
    model_hash: str,
    path: Path,
    verdicts: Sequence[Verdict],
    inputs: Mapping[str, str],
    versions: Mapping[EngineName, str],
) -> dict[str, Any]:
    """Content of a model's certificate for one target."""
    return {
        "model": model,
        "model_sha256": model_hash,
        "script_sha256": script_hash(path),
        "float_tolerance": FLOAT_TOLERANCE,
        "inputs": dict(inputs),
        "results": [
            {
                "engine": v.engine,
                "version": versions[v.engine],
                "input": v.source,
                "fate": v.fate.value,
                "rows": v.rows,
                "sha256": v.sha256,
            }
            for v in verdicts
        ],
    }


def engine_version(engine: EngineName, settings: Settings) -> str:
    """What ran, in words; an emulator is called one."""
    if engine == "sqlite":
        return f"SQLite {sqlite3.sqlite_version}"
    if engine == "snowflake" and settings.snowflake.host is None:
        return f"Snowflake account {settings.snowflake.account}"
    package = _PACKAGES[engine]
    return f"{package} {importlib.metadata.version(package)}" + (" (emulator)" if engine == "snowflake" else "")
