"""The ground truth beside generated files: what was drawn, how, and what every layer must make of it.

Detection and models never read it; tests and people do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError

from lake.errors import BadInputError
from lake.settings import GenerateSettings
from tasks.export import whole_file
from tasks.generation import company
from tasks.generation.dirt import Tally

# Goes up when the same settings begin to give other bytes.
FORMAT_VERSION = 1
# The underscore keeps landing from taking it for a table's file.
FILE_NAME = "_ground_truth.json"
# Settings that change what is drawn; chunks and threads do not.
_IDENTITY = ("seed", "scale", "start", "days", "dirt_share")


class GroundTruth(BaseModel):
    """The part of the file that is read back; see `write` for the whole.

    Args:
        format_version: Of the generator.
        settings: What was drawn, and in which file format.
        files: Size in bytes by name relative to the inbox.
        tables: Counts by table name; see `tasks.generation.dirt.Tally`.
    """

    model_config = ConfigDict(frozen=True)

    format_version: int
    settings: dict[str, Any]
    files: dict[str, int]
    tables: dict[str, dict[str, Any]]

    @property
    def rows(self) -> dict[str, int]:
        return {name: int(counts["rows_total"]) for name, counts in self.tables.items()}


def identity(settings: GenerateSettings, file_format: str) -> dict[str, Any]:
    """What decides the bytes of the files."""
    return settings.model_dump(mode="json", include=set(_IDENTITY)) | {"file_format": file_format}


def read(inbox: Path) -> GroundTruth | None:
    """The truth of the files in `inbox`; None when nothing was generated there.

    Raises:
        BadInputError: The file is damaged.
    """
    path = inbox / FILE_NAME
    if not path.exists():
        return None
    try:
        return GroundTruth.model_validate_json(path.read_bytes())
    except ValidationError:
        raise BadInputError(
            "not a ground truth", where=str(path), mend="delete it; the generated files are written again"
        ) from None


def require_same_company(known: GroundTruth, settings: GenerateSettings, file_format: str, inbox: Path) -> None:
    """Refuse to lay a second company over the first: their rows share identifiers and would mix.

    Raises:
        BadInputError: Settings or generator differ; says which.
    """
    wanted = identity(settings, file_format)
    changed = [f"{name} {known.settings.get(name)!r} → {value!r}" for name, value in wanted.items()
               if known.settings.get(name) != value]  # fmt: skip
    if known.format_version != FORMAT_VERSION:
        changed.append(f"generator {known.format_version} → {FORMAT_VERSION}")
    if changed:
        raise BadInputError(
            f"a company generated with other settings lies here ({', '.join(changed)}), and the two would mix",
            where=str(inbox),
            mend="name other directories (LAKEHOUSE_LAND__INBOX and LAKEHOUSE_LAKE__ROOT), "
            "or delete this one and the lake built from it",
        )


def is_complete(known: GroundTruth, inbox: Path) -> bool:
    """Whether every file is there in its size."""
    return all(_size(inbox / name) == size for name, size in known.files.items())


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None


def write(
    inbox: Path,
    settings: GenerateSettings,
    file_format: str,
    people: int,
    files: Mapping[str, int],
    tallies: Mapping[str, Tally],
) -> None:
    """Write the truth, the last of the generated files.

    Raises:
        StorageError: The directory cannot be written.
    """
    content = {
        "format_version": FORMAT_VERSION,
        "settings": identity(settings, file_format),
        "people": people,
        "files": dict(files),
        "tables": {name: asdict(tally) | {"silver": tally.silver} for name, tally in tallies.items()},
        "experiments": [asdict(e) | {"has_effect": e.absolute_lift != 0} for e in company.EXPERIMENTS],
        "churn": asdict(company.CHURN),
        "channels": [asdict(c) for c in company.CHANNELS],
        "plans": [asdict(p) for p in company.PLANS],
        "seasons": {
            "weekday_activity": company.WEEKDAY_ACTIVITY,
            "yearly_swing": company.YEARLY_SWING,
            "yearly_peak_day": company.YEARLY_PEAK_DAY,
            "growth_per_year": company.GROWTH_PER_YEAR,
        },
    }
    with whole_file(inbox / FILE_NAME) as unfinished:
        unfinished.write_bytes(orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
