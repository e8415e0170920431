"""Detection job: judges transactions on any Spark with Delta and publishes four gold tables, all checked or none.

    spark-submit --packages io.delta:delta-spark_4.2_2.13:4.4.0 spark/detect_anomalies.py \\
        --input data/lake/silver/transactions --output data/anomalies

Needs nothing but pyspark and delta-spark, and with --contracts soda-sparkdf. What each rule means: docs/detection.md;
where the same file runs: docs/deployment/spark.md. Ends with the exit codes of docs/errors.md.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

# spark-submit puts this file's own folder on the path, not the project that `lake` and `spark` lie in.
_PROJECT = Path(__file__).resolve().parent.parent
if (_PROJECT / "lake" / "rules.py").is_file() and str(_PROJECT) not in sys.path:
    sys.path.insert(0, str(_PROJECT))

from lake.errors import BadInputError, LakehouseError  # noqa: E402 - found only now
from lake.rules import AnomalyRules  # noqa: E402
from spark.jars import delta_jars  # noqa: E402
from spark.job.places import absolute, is_url, spark_failures  # noqa: E402
from spark.job.reading import InputFormat, Source, read_transactions  # noqa: E402
from spark.job.rules_file import read_rules  # noqa: E402
from spark.session import DELTA_SETTINGS, MOMENT_SETTINGS, connect_session, require_packages  # noqa: E402

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from spark.job.contract_on_spark import SparkContract
    from spark.job.publishing import Output

TABLES = ("transaction_anomalies", "daily_transaction_summary", "merchant_summary", "account_summary")
_THIS_MACHINE = ("localhost", "127.0.0.1", "::1")
_DATABRICKS = "DATABRICKS_RUNTIME_VERSION"


@dataclass(frozen=True)
class Job:
    """What to judge, by which rules, and where to publish.

    Args:
        source: The transactions.
        output: Absolute path or URL of the directory of the four tables.
        rules: Thresholds.
        contracts: Folder of contracts that the tables must fulfil; not checked when absent.
        remote: Address of a Spark Connect server; a session of this process when absent.
        trust_ids: Whether to do without the search for repeated ids.
    """

    source: Source
    output: str
    rules: AnomalyRules
    contracts: Path | None = None
    remote: str | None = None
    trust_ids: bool = False

    @property
    def is_here(self) -> bool:
        """Whether this process sees the files of `output` that Spark sees."""
        is_near = self.remote is None or urlsplit(self.remote).hostname in _THIS_MACHINE
        return is_near and not is_url(self.output)


def run(session: SparkSession, job: Job, at: datetime) -> Iterator[str]:
    """Read, check, detect, gate and publish.

    Args:
        session: With Delta.
        job: What to do.
        at: Time-zone-aware moment the run began.

    Yields:
        Lines that tell what was found.

    Raises:
        BadInputError, ContractError, GateError, LakeBusyError, MissingToolError, StorageError: Nothing was published,
            except by a StorageError that names a table: those before it were.
    """
    from spark.detection import Stamp, store_tables
    from spark.job.checking import checked
    from spark.job.publishing import Output

    contracts = _contracts(job)
    for key, value in MOMENT_SETTINGS.items():
        session.conf.set(key, value)
    run_id = f"detect-{at:%Y%m%dT%H%M%S%fZ}"
    output = Output(session, job.output, run_id, job.is_here)
    received, version = read_transactions(session, job.source)
    with output.alone():
        if job.source.found_format() is InputFormat.CSV:
            # Text is read once; detection goes over its input four times.
            with spark_failures(lambda told: BadInputError(f"cannot be read: {told}", where=job.source.path)):
                received = output.keep(received, "input")
        transactions = checked(received, job.source.path, trust_ids=job.trust_ids)
        store_tables(transactions, job.rules, Stamp(at, run_id, version), output.keep, output.store)
        if contracts:
            _gate(output, contracts, at)
        told = list(_found(output))
        output.publish()
    yield from told
    if not output.clears_up:
        yield f"left behind, to be removed by hand: {output.staging}"


def _contracts(job: Job) -> tuple[SparkContract, ...]:
    if job.contracts is None:
        return ()
    from spark.job.soda_gate import read_contracts

    return read_contracts(job.contracts, TABLES)


def _gate(output: Output, contracts: tuple[SparkContract, ...], at: datetime) -> None:
    from spark.job.soda_gate import require_open

    require_open(output.session, contracts, output.candidates, at, output.run_id.replace("-", "_").lower())


def _found(output: Output) -> Iterator[str]:
    from pyspark.sql import functions as f

    for name in TABLES:
        yield f"{name}: {output.candidates[name].rows.count()} rows"
    anomalies = output.candidates[TABLES[0]].rows
    fired = anomalies.select(f.explode("rules").alias("rule")).groupBy("rule").count().collect()
    for rule, count in sorted((row["rule"], row["count"]) for row in fired):
        yield f"{rule}: {count} fired"


@contextmanager
def opened(remote: str | None) -> Iterator[SparkSession]:
    """A session: of the server at `remote`, else of spark-submit, else of this process with the installed delta-spark.

    Raises:
        MissingToolError: No Java, Java too old, or a package is not installed.
        BadInputError: Nobody answers at `remote`.
    """
    from spark.java import require_java

    if remote is not None:
        with connect_session(Path(), remote=remote) as session:
            yield session
        return
    # On Databricks Delta and its catalog are there, and Java runs already; under spark-submit Java does, with its jars.
    settings = {} if _DATABRICKS in os.environ else dict(DELTA_SETTINGS)
    if not {"PYSPARK_GATEWAY_PORT", _DATABRICKS} & os.environ.keys():
        require_packages("pyspark", "delta-spark")
        require_java()
        settings |= delta_jars()
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.appName("detect anomalies")
    for key, value in {**settings, **MOMENT_SETTINGS}.items():
        builder = builder.config(key, value)
    session = builder.getOrCreate()
    try:
        yield session
    finally:
        session.stop()


def parse(arguments: Sequence[str]) -> Job:
    """The job that a command line describes.

    Raises:
        ConfigurationError: The rules' file cannot be read, or a threshold is impossible.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--input", required=True, help="transactions: a path, s3a:// or abfss://")
    add("--input-format", type=InputFormat, choices=list(InputFormat), help="default: by _delta_log, else by suffix")
    add("--input-version", type=int, help="version of the Delta table to judge; default: the latest")
    add("--output", required=True, help="directory of the four tables")
    add("--rules", type=Path, help='JSON file of thresholds that differ, such as {"velocity_count": 20}')
    add("--contracts", type=Path, help="soda/contracts: publish only what fulfils its gold contracts")
    add("--remote", help="sc://HOST:PORT, a Spark Connect server to run on")
    add("--trust-ids", action="store_true", help="do not look for transaction ids that stand on two rows")
    given = parser.parse_args(arguments)
    return Job(
        Source(absolute(given.input), given.input_format, given.input_version),
        absolute(given.output),
        AnomalyRules() if given.rules is None else read_rules(given.rules),
        given.contracts,
        given.remote,
        given.trust_ids,
    )


def main(arguments: Sequence[str]) -> int:
    """Run the job; an error for people is one line on stderr. Returns the exit code."""
    began, at = time.monotonic(), datetime.now(UTC)
    try:
        job = parse(arguments)
        with opened(job.remote) as session:
            for line in run(session, job, at):
                sys.stdout.write(f"{line}\n")
    except LakehouseError as error:
        place = f" in {error.where}" if error.where else ""
        mend = f" → {error.mend}" if error.mend else ""
        sys.stderr.write(f"error{place}: {error.what}{mend}\n")
        return error.exit_code
    sys.stdout.write(f"{time.monotonic() - began:.1f} seconds\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
