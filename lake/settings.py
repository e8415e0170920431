"""What can be set, typed and bounded; `lake/configuration.py` reads it."""

from __future__ import annotations

from dataclasses import fields
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator

from lake.errors import ConfigurationError
from lake.rules import AmountMethod, AnomalyRules

PROJECT_ROOT = Path(__file__).resolve().parent.parent

Share = Annotated[float, Field(ge=0, le=1)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False)


class LakeSettings(_Section):
    """Where the lake lies and how long to wait for its writer lock."""

    root: Path = Path("data/lake")
    lock_wait_s: Annotated[float, Field(ge=0, le=3600)] = 30


class GenerateSettings(_Section):
    """What the generated company looks like."""

    enabled: bool = True
    seed: Annotated[int, Field(ge=0, le=2**63 - 1)] = 42
    scale: Annotated[float, Field(gt=0, le=1000)] = 1.0
    start: date = date(2024, 7, 1)
    days: Annotated[int, Field(ge=60, le=3650)] = 730
    dirt_share: Annotated[float, Field(ge=0, le=0.2)] = 0.01
    chunk_rows: Annotated[int, Field(ge=1_000, le=10_000_000)] = 1_000_000
    threads: Annotated[int, Field(ge=1, le=64)] = 2


class TransactionSettings(_Section):
    """What generated transactions look like; a share is one of all rows."""

    enabled: bool = True
    seed: Annotated[int, Field(ge=0, le=2**63 - 1)] = 42
    count: Annotated[int, Field(ge=1_000, le=1_000_000_000)] = 1_000_000
    start: date = date(2026, 1, 1)
    days: Annotated[int, Field(ge=30, le=3650)] = 90
    rows_per_account: Annotated[int, Field(ge=50, le=10_000)] = 200
    hot_accounts: Annotated[int, Field(ge=0, le=100)] = 3
    hot_share: Annotated[float, Field(ge=0, le=0.5)] = 0.01
    burst_share: Annotated[float, Field(ge=0, le=0.05)] = 0.001
    out_of_line_share: Annotated[float, Field(ge=0, le=0.05)] = 0.0005
    very_high_share: Annotated[float, Field(ge=0, le=0.05)] = 0.0002
    busy_day_share: Annotated[float, Field(ge=0, le=0.05)] = 0.001
    decoy_share: Annotated[float, Field(ge=0, le=0.05)] = 0.001
    chunk_rows: Annotated[int, Field(ge=1_000, le=10_000_000)] = 1_000_000
    threads: Annotated[int, Field(ge=1, le=64)] = 2


class LandSettings(_Section):
    """Where files are dropped and how much of one may be malformed."""

    inbox: Path = Path("data/inbox")
    max_files_per_run: Annotated[int, Field(ge=1, le=100_000)] = 10_000
    max_field_bytes: Annotated[int, Field(ge=1_024, le=64 * 1024 * 1024)] = 4 * 1024 * 1024


EngineName = Literal["duckdb", "sqlite", "spark", "sail", "snowflake"]


class EngineSettings(_Section):
    """Which engine runs the models, and limits; past its memory limit DuckDB spills to disk."""

    name: EngineName = "duckdb"
    memory_limit_mb: Annotated[int, Field(ge=128, le=1_048_576)] = 1024
    threads: Annotated[int, Field(ge=1, le=256)] = 2
    spark_memory_mb: Annotated[int, Field(ge=512, le=1_048_576)] = 2048
    sqlite_file: Path = Path("data/warehouse/lakehouse.sqlite")


DetectEngineName = Literal["spark", "connect", "sail"]


class DetectSettings(_Section):
    """Who detects anomalies, and the thresholds of its rules (lake.rules)."""

    engine: DetectEngineName | None = None
    master: str | None = None
    remote: str | None = None
    velocity_count: Annotated[int, Field(ge=1, le=10_000)] = AnomalyRules.velocity_count
    velocity_window_s: Annotated[int, Field(ge=1, le=86_400)] = AnomalyRules.velocity_window_s
    amount_method: AmountMethod = AnomalyRules.amount_method
    z_threshold: Annotated[float, Field(gt=0, le=1_000)] = AnomalyRules.z_threshold
    mad_threshold: Annotated[float, Field(gt=0, le=1_000)] = AnomalyRules.mad_threshold
    min_history: Annotated[int, Field(ge=2, le=1_000_000)] = AnomalyRules.min_history
    zero_spread_ratio: Annotated[Decimal, Field(ge=1, le=1_000_000, decimal_places=4)] = AnomalyRules.zero_spread_ratio
    very_high_amount: Annotated[Decimal, Field(gt=0, max_digits=18, decimal_places=2)] = AnomalyRules.very_high_amount
    frequency_z_threshold: Annotated[float, Field(gt=0, le=1_000)] = AnomalyRules.frequency_z_threshold
    frequency_min_count: Annotated[int, Field(ge=1, le=1_000_000)] = AnomalyRules.frequency_min_count
    frequency_min_days: Annotated[int, Field(ge=2, le=10_000)] = AnomalyRules.frequency_min_days

    @property
    def rules(self) -> AnomalyRules:
        """The thresholds alone, as the Spark job takes them."""
        return AnomalyRules(**{f.name: getattr(self, f.name) for f in fields(AnomalyRules)})


class SnowflakeSettings(_Section):
    """How to reach Snowflake; only `--engine snowflake` looks here."""

    account: str | None = None
    user: str | None = None
    password: SecretStr | None = None
    private_key_file: Path | None = None
    role: str | None = None
    warehouse: str | None = None
    database: str = "LAKEHOUSE"
    host: str | None = None
    port: Annotated[int, Field(ge=1, le=65_535)] = 443
    protocol: Literal["https", "http"] = "https"


class GateSettings(_Section):
    """What a gate allows beside its contract."""

    max_quarantined_share: Share = 0.1
    sample_rows: Annotated[int, Field(ge=0, le=1_000)] = 5


class ExportSettings(_Section):
    """Where gold is exported and in which formats."""

    directory: Path = Path("data/exports")
    formats: tuple[Literal["csv", "parquet"], ...] = ("csv",)


class MirrorSettings(_Section):
    """Where published tables and exports are copied to; credentials come from the platform's own environment."""

    to: str | None = None
    endpoint: str | None = None
    region: str | None = None
    allow_http: bool = False
    retries: Annotated[int, Field(ge=0, le=20)] = 5
    timeout_s: Annotated[float, Field(gt=0, le=3_600)] = 60


class FlowSettings(_Section):
    """How Prefect runs the tasks, and who is told of failed runs."""

    retries: Annotated[int, Field(ge=0, le=10)] = 2
    retry_delay_s: Annotated[float, Field(ge=0, le=600)] = 2
    task_timeout_s: Annotated[int, Field(ge=1, le=86_400)] = 3_600
    writer_wait_s: Annotated[float, Field(ge=0, le=86_400)] = 3_600
    webhook: SecretStr | None = None


class ApiSettings(_Section):
    """Where the HTTP service listens, and what it lets in."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65_535)] = 8000
    workers: Annotated[int, Field(ge=1, le=64)] = 1
    keys_file: Path = Path("data/api/keys.json")
    development: bool = False
    requests_per_second: Annotated[float, Field(gt=0, le=1_000_000)] = 20_000
    request_timeout_s: Annotated[float, Field(gt=0, le=600)] = 30
    max_row_bytes: Annotated[int, Field(ge=1_024, le=16 * 1024 * 1024)] = 64 * 1024
    max_batch_bytes: Annotated[int, Field(ge=1_024, le=1024 * 1024 * 1024)] = 64 * 1024 * 1024
    max_batch_rows: Annotated[int, Field(ge=1, le=1_000_000)] = 100_000
    held_bytes: Annotated[int, Field(ge=1_024, le=64 * 1024**3)] = 512 * 1024 * 1024
    log_requests: bool = False


class IngestSettings(_Section):
    """How rows that come over HTTP become commits, and for how long a repeat is known."""

    max_wait_ms: Annotated[float, Field(ge=0, le=1_000)] = 20
    max_group_rows: Annotated[int, Field(ge=1, le=10_000_000)] = 100_000
    max_file_rows: Annotated[int, Field(ge=1, le=10_000_000)] = 50_000
    queue_rows: Annotated[int, Field(ge=1, le=100_000_000)] = 500_000
    queue_bytes: Annotated[int, Field(ge=1_024, le=64 * 1024**3)] = 256 * 1024 * 1024
    window_hours: Annotated[float, Field(gt=0, le=8_760)] = 24
    window_rows: Annotated[int, Field(ge=1_000, le=1_000_000_000)] = 5_000_000
    compact_files: Annotated[int, Field(ge=2, le=100_000)] = 1_000
    checkpoint_commits: Annotated[int, Field(ge=2, le=100_000)] = 1_000
    log_commits_kept: Annotated[int, Field(ge=100, le=10_000_000)] = 20_000
    drain_s: Annotated[float, Field(ge=1, le=600)] = 20


class Settings(_Section):
    """The whole configuration."""

    lake: LakeSettings = LakeSettings()
    generate: GenerateSettings = GenerateSettings()
    transactions: TransactionSettings = TransactionSettings()
    land: LandSettings = LandSettings()
    engine: EngineSettings = EngineSettings()
    detect: DetectSettings = DetectSettings()
    snowflake: SnowflakeSettings = SnowflakeSettings()
    gates: GateSettings = GateSettings()
    export: ExportSettings = ExportSettings()
    mirror: MirrorSettings = MirrorSettings()
    flow: FlowSettings = FlowSettings()
    api: ApiSettings = ApiSettings()
    ingest: IngestSettings = IngestSettings()

    def _with(self, section: str, key: str, value: object) -> Self:
        if value is None:
            return self
        return self.model_copy(update={section: getattr(self, section).model_copy(update={key: value})})

    def with_engine(self, name: EngineName | None) -> Self:
        """The same settings with another engine for the models; as they are when `name` is None."""
        return self._with("engine", "name", name)

    def with_api_port(self, port: int | None) -> Self:
        """The same settings with another port of the HTTP service; as they are when `port` is None."""
        return self._with("api", "port", port)

    def with_mirror_to(self, to: str | None) -> Self:
        """The same settings with another place of the mirror; as they are when `to` is None."""
        return self._with("mirror", "to", to)

    def with_transactions(self, count: int | None, engine: DetectEngineName | None) -> Self:
        """The same settings with another number of generated transactions and another engine for detection.

        Raises:
            ConfigurationError: `count` is out of range.
        """
        changes: dict[str, BaseModel] = {}
        if count is not None:
            values = self.transactions.model_dump() | {"count": count, "enabled": True}
            try:
                changes["transactions"] = TransactionSettings.model_validate(values)
            except ValidationError as error:
                raise _explain_option(error, "--count") from None
        if engine is not None:
            changes["detect"] = self.detect.model_copy(update={"engine": engine})
        return self.model_copy(update=changes)

    @model_validator(mode="after")
    def _places_differ(self) -> Self:
        places = {"lake.root": self.lake.root, "land.inbox": self.land.inbox, "export.directory": self.export.directory}
        seen: dict[Path, str] = {}
        for key, place in places.items():
            twin = seen.setdefault(place.resolve(), key)
            if twin != key:
                raise ValueError(f"{key} and {twin} are the same directory: {place}")
        return self


def _explain_option(error: ValidationError, option: str) -> ConfigurationError:
    first = error.errors(include_url=False)[0]
    return ConfigurationError(f"{first['msg']}, not {first['input']!r}", where=option)
