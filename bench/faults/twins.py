"""The same ids from several callers at once, through several workers, some with other values: one of them gets in."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

import orjson
import polars as pl

from bench.faults.service import Service, serving
from bench.ingest.answer import Answer, read_answer
from bench.ingest.bodies import Form, make_bodies
from bench.ingest.plan import Target
from bench.measure import BenchError
from infra.ports import LOOPBACK
from lake.lake import Lake
from lake.tables import BRONZE_TRANSACTIONS

_CREATED, _CONFLICT, _LATER = 201, 409, 503
_PAUSE_S = 0.02
# Every so many ids one of the callers says something else.
_CONTRADICTED_EVERY = 4
_READ_BYTES = 65_536


@dataclass(slots=True)
class Twins:
    """What came of it.

    Args:
        ids: Different ids sent.
        statuses: Answers by status.
        in_table: Ids in the table.
        twice: Ids in the table more than once.
        wrong: Answers that the table belies: success for values that are not there, or refusal of those that are.
    """

    ids: int
    statuses: Counter[int] = field(default_factory=Counter)
    in_table: int = 0
    twice: int = 0
    wrong: int = 0


def send_twins(folder: Path, *, ids: int, workers: int = 4, callers: int = 3, at_once: int = 16) -> Twins:
    """Send each id from `callers` connections at the same time, `at_once` ids under way.

    Raises:
        BenchError: The service failed.
    """
    twins, answers = Twins(ids), dict[str, list[tuple[Decimal, int]]]()
    with serving(folder, workers=workers) as service:
        asyncio.run(_send_all(service, twins, answers, callers, at_once))
    delta = Lake(folder / "lake").open(BRONZE_TRANSACTIONS)
    if delta is None:
        raise BenchError("nothing was committed")
    rows = pl.scan_parquet(delta.file_uris()).select("transaction_id", "amount").collect()
    amounts = dict(rows.iter_rows())
    twins.in_table, twins.twice = len(amounts), rows.height - len(amounts)
    for identifier, given in answers.items():
        for amount, status in given:
            twins.wrong += (status == _CREATED) is not (amounts.get(identifier) == amount)
    return twins


async def _send_all(
    service: Service, twins: Twins, answers: dict[str, list[tuple[Decimal, int]]], callers: int, at_once: int
) -> None:
    bodies = make_bodies(Form.ROW)
    head = Target(LOOPBACK, service.port).head(bodies)
    numbers = iter(range(twins.ids))

    async def lane() -> None:
        connections = [
            _Connection(*await asyncio.open_connection(LOOPBACK, service.port), head) for _ in range(callers)
        ]
        for number in numbers:
            body = bodies.body(number)
            identifier = bodies.identifiers(number)[0]
            sent = [body] * callers
            if number % _CONTRADICTED_EVERY == 0:
                sent[number // _CONTRADICTED_EVERY % callers] = _contradicting(body)
            given = await asyncio.gather(*(c.ask(b) for c, b in zip(connections, sent, strict=True)))
            amounts = [Decimal(str(orjson.loads(b)["amount"])) for b in sent]
            answers[identifier] = [(amount, a.status) for amount, a in zip(amounts, given, strict=True)]
            twins.statuses.update(answer.status for answer in given)
        for connection in connections:
            connection.close()

    await asyncio.gather(*(lane() for _ in range(at_once)))


def _contradicting(body: bytes) -> bytes:
    row = orjson.loads(body)
    return orjson.dumps(row | {"amount": f"{Decimal(str(row['amount'])) + 1:.2f}"})


class _Connection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes) -> None:
        self._reader, self._writer, self._head = reader, writer, head

    async def ask(self, body: bytes) -> Answer:
        """The answer that is not 503."""
        while True:
            self._writer.write(b"%b%d\r\n\r\n%b" % (self._head, len(body), body))
            data = b""
            while (answer := read_answer(data)) is None:
                more = await self._reader.read(_READ_BYTES)
                if not more:
                    raise BenchError("the service closed a connection")
                data += more
            if answer.status != _LATER:
                return answer
            await asyncio.sleep(_PAUSE_S)

    def close(self) -> None:
        self._writer.close()
