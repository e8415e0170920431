"""Writing compiled models: the project's own, or those of anybody's folder of DuckDB SELECTs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lake.errors import StorageError
from sql.compile import COMPILED, TARGETS, Script, compile_project, compile_select
from sql.folder import load_folder
from sql.model import MODELS, load_models


def compile_own(targets: Sequence[str] = (), output: Path | None = None) -> list[Path]:
    """Compile the project's models, by default to ``sql/compiled``.

    Args:
        targets: Some of TARGETS; all when empty.
        output: Folder with one folder a target in it.

    Returns:
        Files written.

    Raises:
        ModelError: A model cannot be carried; nothing was written.
        StorageError: The folder cannot be written.
    """
    models = load_models(MODELS)
    scripts = {target: compile_project(models, target) for target in targets or TARGETS}
    return _write(scripts, output or COMPILED)


def compile_folder(folder: Path, schema: Path | None, targets: Sequence[str], output: Path) -> list[Path]:
    """Compile a folder of SELECTs.

    Args:
        folder: One SELECT a file; ``a/b.sql`` makes table ``a.b``, ``b.sql`` makes ``b``.
        schema: CREATE TABLE statements of the tables they read.
        targets: Some of TARGETS; all when empty.
        output: Folder with one folder a target in it.

    Returns:
        Files written.

    Raises:
        ModelError: A file is wrong or cannot be carried; nothing was written.
        StorageError: The folder cannot be written.
    """
    selects, types = load_folder(folder, schema)
    scripts = {
        target: [
            Script(s.path.relative_to(folder), compile_select(s.name, s.sql, types[s.name], target, types, str(s.path)))
            for s in selects
        ]
        for target in targets or TARGETS
    }
    return _write(scripts, output)


def _write(scripts: dict[str, list[Script]], output: Path) -> list[Path]:
    written = []
    for target, compiled in scripts.items():
        for script in compiled:
            path = output / target / script.path
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(script.text, encoding="utf-8")
            except OSError as error:
                raise StorageError(f"cannot write: {error.strerror}", where=str(path)) from None
            written.append(path)
    return written
