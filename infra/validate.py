"""Every template of infra/ against the validator of its kind; one that is broken, or that nobody claims, fails.

python -m infra.validate [PATH ...]
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from infra.validators import arm, cloudformation, compose, databricks, dockerfile, env_file, kubernetes, snowflake

INFRA = Path(__file__).resolve().parent
UNCLAIMED = "no validator claims this file; add one to VALIDATORS in infra/validate.py"
_VALID, _BROKEN = 0, 1


@dataclass(frozen=True, slots=True)
class Validator:
    """Who judges which templates.

    Args:
        kind: For people.
        glob: Of paths below infra/; ``*`` stays within a folder.
        problems: What is wrong with a file, a line each; empty when it is valid.
    """

    kind: str
    glob: str
    problems: Callable[[Path], list[str]]


VALIDATORS = (
    Validator("Dockerfile", "docker/Dockerfile", dockerfile.problems),
    Validator("Compose", "docker/compose.yaml", compose.problems),
    Validator("env file", "docker/example.env", env_file.problems),
    Validator("Kubernetes", "kubernetes/*.yaml", kubernetes.problems),
    Validator("CloudFormation", "aws/*.cloudformation.yaml", cloudformation.problems),
    Validator("ARM", "azure/*.json", arm.problems),
    Validator("Data Factory", "data_factory/*.json", arm.problems),
    Validator("Databricks bundle", "databricks/databricks.yml", databricks.problems),
    Validator("Snowflake", "snowflake/*.sql", snowflake.problems),
)


def templates(root: Path = INFRA) -> Iterator[Path]:
    """Every file below `root` but Python, which ruff and mypy judge, and hidden ones, such as a person's own .env."""
    for path in sorted(root.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(root).parts)
        if path.is_file() and path.suffix not in {".py", ".pyc"} and not hidden:
            yield path


def problems(path: Path, root: Path = INFRA) -> list[str]:
    """What is wrong with a template, a line each; empty when it is valid.

    Args:
        path: A file below `root`.
        root: Folder that stands for infra/; tests hand over a copy.
    """
    place = path.resolve().relative_to(root.resolve()).as_posix()
    claims = [validator for validator in VALIDATORS if _matches(place, validator.glob)]
    if not claims:
        return [UNCLAIMED]
    return [problem for validator in claims for problem in validator.problems(path)]


def main(arguments: Sequence[str], root: Path = INFRA) -> int:
    """Judge the files named, or all below `root`; a line for each on standard output, its problems below it."""
    code = _VALID
    for path in [Path(argument) for argument in arguments] or list(templates(root)):
        found = problems(path, root)
        code = _BROKEN if found else code
        print(f"{'broken' if found else 'valid ':6} {path}")  # noqa: T201
        for problem in found:
            print(f"       {problem}")  # noqa: T201
    return code


def _matches(place: str, glob: str) -> bool:
    """Whether a glob means this path; ``Path.match`` alone would also match from the right."""
    return place.count("/") == glob.count("/") and Path(place).match(glob)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
