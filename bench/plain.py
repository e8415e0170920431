"""The medallion without Prefect, for telling orchestration's share; prints step times as JSON."""

from __future__ import annotations

from cli.output import StepTimes, print_json
from lake.settings import load_settings
from lake.table import Layer
from tasks.export import export_marts
from tasks.layers import build_layer, land_layer
from tasks.report import reported
from tasks.workspace import new_run, writing


def main() -> None:
    times = StepTimes.start()
    with writing(load_settings(), new_run()) as workspace, reported(workspace):
        land_layer(workspace)
        build_layer(workspace, Layer.SILVER)
        build_layer(workspace, Layer.GOLD)
        export_marts(workspace)
    print_json({"steps": times.steps})


if __name__ == "__main__":
    main()
