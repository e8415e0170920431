"""Arrow IPC from strangers: bounded before it is decompressed, validated before anything looks at it.

Arrow's reader checks what it reads but trusts the sizes that compressed buffers claim. These are read and bounded
first; where they lie in a message's metadata, a flatbuffer, say Arrow's Message.fbs and columnar format ("IPC").
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa

from api.problems import malformed, too_large

_MAGIC = b"ARROW1"
_MAGIC_BYTES = 8  # with its padding
_MAX_MESSAGES = 20_000
# A row's columns at their usual length have a sixth of this.
_DECOMPRESSED_BYTES_PER_ROW = 1024
_DECOMPRESSED_BYTES = 1024 * 1024

# What Arrow raises for streams that are no streams, whatever is wrong with them.
BROKEN = (pa.ArrowException, OSError, ValueError, LookupError, TypeError, OverflowError, struct.error, MemoryError)


@contextmanager
def reading() -> Iterator[None]:
    """Turn whatever damaged bytes make Arrow raise into a 400."""
    try:
        yield
    except BROKEN:
        raise malformed("The body is not an Arrow IPC stream, or it is damaged.") from None


def stream_of_file(body: bytes) -> memoryview:
    """The stream inside an IPC file: between the magic and the footer lies nothing else."""
    if len(body) < 2 * _MAGIC_BYTES or not (body.startswith(_MAGIC) and body.endswith(_MAGIC)):
        raise malformed("The body is not an Arrow IPC file, or it is cut short.")
    return memoryview(body)[_MAGIC_BYTES:]


def bound_messages(stream: pa.Buffer, max_rows: int, *, to_the_end: bool) -> None:
    """Refuse a stream of too many messages, or one that grows too much when it is decompressed.

    Args:
        to_the_end: Nothing may follow the stream.

    Raises:
        Problem: 413, or 400 when the stream is damaged.
    """
    allowed = _DECOMPRESSED_BYTES + _DECOMPRESSED_BYTES_PER_ROW * max_rows
    count = total = 0
    with reading():
        source = pa.BufferReader(stream)
        messages = pa.ipc.MessageReader.open_stream(source)
        while (message := _next(messages)) is not None:
            count += 1
            if count > _MAX_MESSAGES:
                raise too_large(f"The stream has more than {_MAX_MESSAGES} messages; send larger record batches.")
            total += _decompressed_bytes(message)
            if total > allowed:
                raise too_large(f"The stream has more than {allowed} bytes decompressed; send fewer rows at a time.")
        if to_the_end and source.tell() != stream.size:
            raise malformed("Something follows the end of the Arrow IPC stream.")


def _next(messages: pa.ipc.MessageReader) -> pa.ipc.Message | None:
    try:
        return messages.read_next_message()
    except StopIteration:
        return None


_VERSION_5 = 4
_DICTIONARY_BATCH, _RECORD_BATCH = 2, 3
_NOT_COMPRESSED = -1


def _decompressed_bytes(message: pa.ipc.Message) -> int:
    """Bytes that the compressed buffers of a message claim to have; 0 when none is compressed."""
    metadata = message.metadata.to_pybytes()
    root = _u32(metadata, 0)
    version = _field(metadata, root, 0)
    # Earlier versions have their compression elsewhere.
    if not version or struct.unpack_from("<h", metadata, version)[0] != _VERSION_5:
        raise ValueError("metadata of an earlier version")
    kind = _field(metadata, root, 1)
    header = _field(metadata, root, 2)
    kind = metadata[kind] if kind else 0
    if kind not in (_DICTIONARY_BATCH, _RECORD_BATCH):
        return 0
    table = _follow(metadata, header)
    if kind == _DICTIONARY_BATCH:
        table = _follow(metadata, _field(metadata, table, 1))
    if not _field(metadata, table, 3):
        return 0
    return sum(_claimed(metadata, _field(metadata, table, 2), message.body))


def _claimed(metadata: bytes, field: int, body: pa.Buffer) -> Iterator[int]:
    if not field:
        return
    vector = _follow(metadata, field)
    values = memoryview(body)
    for i in range(_u32(metadata, vector)):
        offset, length = struct.unpack_from("<qq", metadata, vector + 4 + 16 * i)
        if length:
            (claimed,) = struct.unpack_from("<q", values, offset)
            if claimed < _NOT_COMPRESSED:
                raise ValueError("a negative size")
            yield length if claimed == _NOT_COMPRESSED else claimed


def _u32(metadata: bytes, at: int) -> int:
    value: int = struct.unpack_from("<I", metadata, at)[0]
    return value


def _follow(metadata: bytes, at: int) -> int:
    if not at:
        raise ValueError("a table is missing")
    return at + _u32(metadata, at)


def _field(metadata: bytes, table: int, number: int) -> int:
    """Where field `number` of a table lies; 0 when it has its default."""
    back: int = struct.unpack_from("<i", metadata, table)[0]
    vtable = table - back
    if vtable < 0:
        raise ValueError("a table lies outside")
    slot = 4 + 2 * number
    size: int = struct.unpack_from("<H", metadata, vtable)[0]
    if slot + 2 > size:
        return 0
    offset: int = struct.unpack_from("<H", metadata, vtable + slot)[0]
    return table + offset if offset else 0
