"""Databricks asset bundles: every job against Databricks' own models, and every name, file and argument in them."""

from __future__ import annotations

import ast
import copy
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

_REFERENCE = re.compile(r"\$\{([^}]*)\}")
# What a bundle knows without declaring it: "Substitutions", Databricks' documentation of bundles.
_BUILT_IN = {"bundle.name", "bundle.target", "workspace.file_path", "workspace.root_path"}
_FILES = "${workspace.file_path}/"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Named(_Part):
    name: str


class _Sync(_Part):
    paths: list[str]
    exclude: list[str] = []


class _Variable(_Part):
    description: str
    default: str | int | bool | None = None


class _Workspace(_Part):
    root_path: str


class _Target(_Part):
    mode: Literal["development", "production"]
    default: bool = False
    workspace: _Workspace | None = None
    variables: dict[str, str | int | bool] = {}


class _Resources(_Part):
    jobs: dict[str, dict[str, Any]]


class _Bundle(_Part):
    bundle: _Named
    sync: _Sync
    variables: dict[str, _Variable]
    resources: _Resources
    targets: dict[str, _Target]


def problems(path: Path) -> list[str]:
    """What is wrong with a bundle, a line each; empty when it is valid.

    Args:
        path: ``databricks.yml``; paths in it are relative to its folder.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        bundle = _Bundle.model_validate(content)
    except yaml.YAMLError as error:
        return [f"not valid YAML: {' '.join(str(error).split())}"]
    except ValidationError as error:
        return [f"{'.'.join(map(str, e['loc']))}: {e['msg']}, not {e['input']!r:.60}" for e in error.errors()]
    found = [*_variable_problems(content, bundle), *_file_problems(path.parent, bundle.sync.paths)]
    for name, job in bundle.resources.jobs.items():
        shape = list(_model_problems(job))
        found += (f"jobs.{name}: {problem}" for problem in shape or _job_problems(job, path.parent, bundle.sync.paths))
    return found


def _model_problems(job: dict[str, Any]) -> Iterator[str]:
    model: Any = import_module("databricks.bundles.jobs").Job
    try:
        # Reading one takes keys out of what it is given.
        model.from_dict(copy.deepcopy(job))
    except (ValueError, TypeError, AttributeError) as error:
        yield str(error)


def _variable_problems(content: dict[str, Any], bundle: _Bundle) -> Iterator[str]:
    used = {name for text in _texts(content) for name in _REFERENCE.findall(text)}
    declared = {f"var.{name}" for name in bundle.variables}
    yield from (f"${{{name}}} is not declared" for name in sorted(used - declared - _BUILT_IN))
    yield from (f"variables.{name[4:]}: is declared and never used" for name in sorted(declared - used))
    for target, chosen in bundle.targets.items():
        yield from (f"targets.{target}: {n} is no variable" for n in sorted(chosen.variables.keys() - bundle.variables))
    if sum(target.default for target in bundle.targets.values()) != 1:
        yield "targets: exactly one has to be the default"


def _file_problems(folder: Path, carried: list[str]) -> Iterator[str]:
    yield from (f"sync.paths: {place} is not there" for place in carried if not (folder / place).exists())


def _job_problems(job: dict[str, Any], folder: Path, carried: list[str]) -> Iterator[str]:
    clusters = {cluster["job_cluster_key"] for cluster in job.get("job_clusters", [])}
    tasks = job.get("tasks", [])
    keys = [task["task_key"] for task in tasks]
    if len(set(keys)) < len(keys):
        yield "two tasks have the same task_key"
    yield from (f"cluster {key} runs no task" for key in sorted(clusters - {t.get("job_cluster_key") for t in tasks}))
    for task in tasks:
        at = f"tasks.{task['task_key']}"
        if task.get("job_cluster_key") not in clusters:
            yield f"{at}: cluster {task.get('job_cluster_key')!r} is not declared"
        for before in task.get("depends_on", []):
            if before["task_key"] not in keys:
                yield f"{at}: depends on {before['task_key']!r}, which is no task"
        if script := task.get("spark_python_task"):
            yield from (f"{at}: {p}" for p in _script_problems(script, folder, carried))


def _script_problems(script: dict[str, Any], folder: Path, carried: list[str]) -> Iterator[str]:
    file = (folder / script["python_file"]).resolve()
    roots = [(folder / place).resolve() for place in carried]
    if not file.is_file():
        yield f"{script['python_file']} is not there"
        return
    if not any(file.is_relative_to(root) for root in roots):
        yield f"{script['python_file']} is not in sync.paths"
    yield from _argument_problems(script.get("parameters", []), _options(file))
    project = Path(*_common(roots))
    for word in script.get("parameters", []):
        place = project / word.removeprefix(_FILES)
        if word.startswith(_FILES) and not (place.exists() and any(place.is_relative_to(root) for root in roots)):
            yield f"{word} is not carried by the bundle"


def _common(roots: list[Path]) -> list[str]:
    """Parts of the folder that all roots share; the bundle's files keep their places below it."""
    parts = [root.parts for root in roots]
    return [part[0] for part in zip(*parts, strict=False) if len(set(part)) == 1]


def _options(script: Path) -> dict[str, dict[str, Any]]:
    """The options a script adds to its argument parser, read from its source: running it would need Spark."""
    found: dict[str, dict[str, Any]] = {}
    for node in ast.walk(ast.parse(script.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            name = node.args[0].value
            if isinstance(name, str) and name.startswith("--"):
                constants = {k.arg: k.value.value for k in node.keywords if k.arg and isinstance(k.value, ast.Constant)}
                found[name] = constants
    return found


def _argument_problems(words: list[str], options: dict[str, dict[str, Any]]) -> Iterator[str]:
    given, waiting = set(), list(words)
    while waiting:
        word = waiting.pop(0)
        if word not in options:
            yield f"the script has no argument {word}; it has {', '.join(sorted(options))}"
            continue
        given.add(word)
        if options[word].get("action") != "store_true" and (not waiting or waiting.pop(0).startswith("--")):
            yield f"{word} needs a value"
    missing = {name for name, described in options.items() if described.get("required")} - given
    yield from (f"{name} is required" for name in sorted(missing))


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, str):
        yield value
