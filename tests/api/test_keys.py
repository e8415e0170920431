"""API keys: what the file holds, how it changes, when it is not believed."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from api.problems import Problem
from api.security import key_ring
from api.security.key_file import create_key, revoke_key
from api.security.key_ring import KeyRing
from api.security.keys import KEY_PATTERN, KeyState, Scope, read_keys
from lake.errors import BadInputError, StorageError
from tests.api.front import AT, key_in

PROJECT = Path(__file__).resolve().parents[2]


def make(path: Path, name: str) -> str:
    return create_key(path, name, frozenset({Scope.READ}), AT)[1]


def test_the_file_holds_neither_key_nor_secret_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "keys.json"
    text = make(path, "till")
    match = KEY_PATTERN.fullmatch(text)
    assert match is not None
    content = path.read_text(encoding="utf-8")
    assert match[1] in content
    assert match[2] not in content
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [p.name for p in path.parent.iterdir() if p.name.startswith(".keys.json.")] == [".keys.json.lock"]


_MAKE_THREE = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from api.security.key_file import create_key
from api.security.keys import Scope
for number in range(3):
    print(create_key(Path(sys.argv[1]), f"{sys.argv[2]}-{number}", {Scope.READ}, datetime.now(UTC))[1])
"""


def test_keys_made_by_many_processes_at_once_are_all_there(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    making = [
        subprocess.Popen(
            [sys.executable, "-c", _MAKE_THREE, str(path), name], cwd=PROJECT, stdout=subprocess.PIPE, text=True
        )
        for name in "abcd"
    ]
    texts = [text for process in making for text in process.communicate()[0].split()]
    assert sorted(key.name for key in read_keys(path)) == [f"{name}-{n}" for name in "abcd" for n in range(3)]
    ring = KeyRing(path)
    assert {ring.recognise(text).slot for text in texts} == set(range(1, 13))


def test_a_revoked_key_keeps_its_place_and_its_first_moment_of_revocation(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    first = create_key(path, "a", {Scope.READ}, AT)[0]
    make(path, "b")
    revoke_key(path, first.id, AT + timedelta(days=1))
    revoke_key(path, first.id, AT + timedelta(days=2))
    keys = read_keys(path)
    assert [(k.name, k.slot, k.state(AT)) for k in keys] == [("a", 1, KeyState.REVOKED), ("b", 2, KeyState.ACTIVE)]
    assert keys[0].revoked_at == AT + timedelta(days=1)


def test_a_name_is_free_again_once_its_key_is_revoked(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    make(path, "till")
    with pytest.raises(BadInputError, match="there is a key named"):
        make(path, "till")
    revoke_key(path, read_keys(path)[0].id, AT)
    make(path, "till")
    assert len(read_keys(path)) == 2


@pytest.mark.parametrize(
    ("name", "scopes", "options"),
    [
        ("", {Scope.READ}, {}),
        ("a" * 65, {Scope.READ}, {}),
        ("a\nb", {Scope.READ}, {}),
        ("../a", {Scope.READ}, {}),
        ("a", set(), {}),
        ("a", {Scope.READ}, {"expires_at": AT}),
        ("a", {Scope.READ}, {"requests_per_second": 0.0}),
        ("a", {Scope.READ}, {"requests_per_second": float("nan")}),
    ],
)
def test_a_key_that_makes_no_sense_is_not_made(
    tmp_path: Path, name: str, scopes: set[Scope], options: dict[str, Any]
) -> None:
    with pytest.raises(BadInputError):
        create_key(tmp_path / "keys.json", name, scopes, AT, **options)
    assert not (tmp_path / "keys.json").exists()


def test_an_unknown_id_cannot_be_revoked(tmp_path: Path) -> None:
    make(tmp_path / "keys.json", "a")
    with pytest.raises(BadInputError, match="there is no key"):
        revoke_key(tmp_path / "keys.json", "aaaaaaaa", AT)


def corruptions() -> dict[str, Any]:
    """Ways a key file may be wrong, as changes of a sound document."""
    return {
        "torn": lambda d: json.dumps(d)[:40],
        "empty": lambda d: "",
        "not UTF-8": lambda d: b"\xff\xfe",
        "another format": lambda d: json.dumps({**d, "format_version": 2}),
        "unknown member": lambda d: json.dumps({**d, "more": 1}),
        "no scope": lambda d: json.dumps({**d, "keys": [{**d["keys"][0], "scopes": []}]}),
        "unknown scope": lambda d: json.dumps({**d, "keys": [{**d["keys"][0], "scopes": ["root"]}]}),
        "short digest": lambda d: json.dumps({**d, "keys": [{**d["keys"][0], "sha256": "ab"}]}),
        "two of one id": lambda d: json.dumps({**d, "keys": d["keys"] * 2}),
        "no zone": lambda d: json.dumps({**d, "keys": [{**d["keys"][0], "expires_at": "2099-01-01T00:00:00"}]}),
        "limit of nothing": lambda d: json.dumps({**d, "keys": [{**d["keys"][0], "requests_per_second": -1}]}),
    }


@pytest.mark.parametrize("how", list(corruptions()))
def test_a_corrupt_file_lets_nobody_in_and_is_not_written_over(tmp_path: Path, how: str) -> None:
    path = tmp_path / "keys.json"
    text = make(path, "till")
    content = corruptions()[how](json.loads(path.read_text(encoding="utf-8")))
    raw = content if isinstance(content, bytes) else content.encode()
    path.write_bytes(raw)
    with pytest.raises(Problem) as refused:
        KeyRing(path).recognise(text)
    assert refused.value.status == 503
    with pytest.raises(StorageError):
        make(path, "other")
    assert path.read_bytes() == raw


def test_a_file_that_others_may_write_is_not_believed(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    text = make(path, "till")
    path.chmod(0o622)
    ring = KeyRing(path)
    assert not ring.is_sound
    with pytest.raises(Problem, match="503"):
        ring.recognise(text)


@pytest.fixture
def always_looking(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_ring, "RELOAD_INTERVAL_S", 0.0)


def status(ring: KeyRing, text: str) -> int:
    try:
        ring.recognise(text)
    except Problem as problem:
        return problem.status
    return 200


def test_a_ring_follows_its_file_through_creation_revocation_corruption_and_repair(
    tmp_path: Path, always_looking: None
) -> None:
    path = tmp_path / "keys.json"
    ring = KeyRing(path)
    assert ring.is_empty
    first = make(path, "a")
    assert (ring.is_empty, status(ring, first)) == (False, 200)
    second = make(path, "b")
    assert status(ring, second) == 200
    revoke_key(path, read_keys(path)[0].id, AT)
    assert [status(ring, text) for text in (first, second)] == [401, 200]
    sound = path.read_bytes()
    path.write_bytes(b"{")
    assert [status(ring, text) for text in (first, second)] == [503, 503]
    path.write_bytes(sound)
    assert [status(ring, text) for text in (first, second)] == [401, 200]
    path.unlink()
    assert [status(ring, text) for text in (first, second)] == [401, 401]


def test_within_a_second_the_file_is_not_looked_at_again(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    text = make(path, "a")
    ring = KeyRing(path)
    assert status(ring, text) == 200
    os.truncate(path, 0)
    assert status(ring, text) == 200


def test_a_key_ends_with_the_moment_it_expires(tmp_path: Path) -> None:
    moment = [datetime(2026, 1, 2, tzinfo=UTC) - timedelta(microseconds=1)]
    text = key_in(tmp_path, Scope.READ, expires_at=datetime(2026, 1, 2, tzinfo=UTC))
    ring = KeyRing(tmp_path / "keys.json", clock=lambda: moment[0])
    assert status(ring, text) == 200
    moment[0] += timedelta(microseconds=1)
    assert status(ring, text) == 401


@pytest.mark.parametrize("change", ["id", "secret", "prefix", "case", "longer", "shorter", "newline"])
def test_a_key_that_differs_in_anything_is_refused(tmp_path: Path, change: str) -> None:
    text = key_in(tmp_path, Scope.READ)
    wrong = {
        "id": text[:4] + ("b" if text[4] != "b" else "c") + text[5:],
        "secret": text[:-2] + ("A" if text[-2] != "A" else "B") + text[-1],
        "prefix": "x" + text[1:],
        "case": text[:13] + text[13:].swapcase(),
        "longer": text + "A",
        "shorter": text[:-1],
        "newline": text + "\n",
    }[change]
    ring = KeyRing(tmp_path / "keys.json")
    assert (status(ring, wrong), status(ring, text)) == (401, 200)
