"""The command that copies what is published to an object store."""

from __future__ import annotations

from pathlib import Path

from cli.output import answers, human_bytes, print_json, print_table
from lake.configuration import load_settings
from lake.errors import ConfigurationError
from lake.table import Layer


def mirror(
    to: str | None = None,
    *,
    layer: tuple[Layer, ...] = (),
    verify: bool = False,
    vacuum: bool = False,
    config: Path | None = None,
    json: bool = False,
) -> None:
    """Copy published tables and the exports to S3, Azure or a directory, where others read them at any moment.

    Only what a gate let in leaves; a run that was killed goes on where it stopped. Needs no lock.

    Example: `./lakehouse mirror s3://my-bucket/lake --layer gold`

    Parameters
    ----------
    to
        s3://bucket/prefix, abfss://container@account.dfs.core.windows.net/prefix or a directory [default: mirror.to].
    layer
        Whose tables: may be given more than once [default: silver and gold].
    verify
        Read every copied file back and compare digests; versions, file lists and sizes are compared anyway.
    vacuum
        Delete files from the copies that left their table longer than its retention ago.
    config
        Configuration file.
    json
        Print what was done as JSON.
    """
    from tasks.mirror import LAYERS, mirror_tables
    from tasks.workspace import Workspace, new_run

    workspace = Workspace(load_settings(config).with_mirror_to(to), new_run())
    done = mirror_tables(workspace, layer or LAYERS, every_byte=verify, vacuum=vacuum)
    if done is None:
        raise ConfigurationError(
            "no place to mirror to is known",
            where="mirror.to",
            mend="./lakehouse mirror s3://bucket/prefix, or set mirror.to (LAKEHOUSE_MIRROR__TO)",
        )
    if json:
        print_json(done)
        return
    rows = [
        {
            "table": t.table,
            "version": t.version,
            "entries": t.entries,
            "files": t.files,
            "size": human_bytes(t.size_bytes),
            "deleted": t.deleted,
        }
        for t in done.tables
    ]
    if rows:
        print_table(f"Mirrored to {done.to}", rows, right=("version", "entries", "files", "size", "deleted"))
    answers.print(f"{len(done.exports)} exports copied to {done.to}/exports", highlight=False)
