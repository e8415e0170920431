"""The medallion without Prefect, for telling orchestration's share; prints step times as JSON."""

from __future__ import annotations

from cli.output import StepTimes, print_json
from lake.configuration import load_settings
from lake.tables import COMPANY_BRONZE, COMPANY_SILVER, MARTS
from tasks.export import export_marts
from tasks.layers import build_layer, land_layer
from tasks.report import reported
from tasks.workspace import new_run, writing


def main() -> None:
    times = StepTimes.start()
    with writing(load_settings(), new_run()) as workspace, reported(workspace):
        land_layer(workspace, COMPANY_BRONZE)
        build_layer(workspace, COMPANY_SILVER)
        build_layer(workspace, MARTS)
        export_marts(workspace, MARTS)
    print_json({"steps": times.steps})


if __name__ == "__main__":
    main()
