"""Delta-spark's jars come whole or not at all, whoever else fetches them, and a Maven out of reach is told."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from lake.errors import MissingToolError
from spark import jars

pytestmark = pytest.mark.spark
NOBODY = """<ivysettings>
  <settings defaultResolver="nobody"/>
  <resolvers><ibiblio name="nobody" m2compatible="true" root="http://127.0.0.1:1/maven/"/></resolvers>
</ivysettings>"""


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache/lakehouse/jars"


def test_a_maven_out_of_reach_is_told_and_leaves_nothing(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ivy.xml").write_text(NOBODY)
    (tmp_path / "spark-defaults.conf").write_text(f"spark.jars.ivySettings {tmp_path / 'ivy.xml'}\n")
    monkeypatch.setenv("SPARK_CONF_DIR", str(tmp_path))
    with pytest.raises(MissingToolError, match=r"delta-spark_.* did not come: .*unresolved dependency") as told:
        jars.delta_jars()
    assert told.value.mend is not None
    assert "Maven" in told.value.mend
    assert list(cache.iterdir()) == []


def test_of_two_that_fetch_at_once_both_get_all(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    both = Barrier(2)

    def resolve(ivy: Path) -> str:
        (ivy / "jars").mkdir()
        for name in ("io.delta_delta-spark-1.jar", "io.delta_delta-storage-1.jar", "com.other_other-1.jar"):
            (ivy / "jars" / name).write_text(name)
        both.wait(10)
        return ""

    monkeypatch.setattr(jars, "_resolve", resolve)
    with ThreadPoolExecutor(2) as threads:
        first, second = (call.result() for call in [threads.submit(jars.delta_jars) for _ in range(2)])
    assert first == second
    listed = [Path(jar) for jar in first["spark.jars"].split(",")]
    assert [jar.name for jar in listed] == ["io.delta_delta-spark-1.jar", "io.delta_delta-storage-1.jar"]
    assert all(jar.read_text() == jar.name for jar in listed)
    assert [place.name for place in cache.iterdir()] == [listed[0].parent.name]
