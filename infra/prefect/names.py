"""Names and times that server, workers and automations share; no import of Prefect, which then reads its settings."""

from __future__ import annotations

POOL = "lakehouse"
# Every deployment's tag.
TAG = "lakehouse"
# Three missed signs of life, at one every HEARTBEAT_S seconds (Prefect's shortest), and a run counts as crashed.
HEARTBEAT_S = 30
SILENCE_S = 3 * HEARTBEAT_S + 10
