"""Every target, by name."""

from __future__ import annotations

from sql.dialects.snowflake import SNOWFLAKE
from sql.dialects.spark import SPARK
from sql.dialects.sqlite import SQLITE
from sql.dialects.target import Target

BY_NAME: dict[str, Target] = {target.name: target for target in (SQLITE, SNOWFLAKE, SPARK)}
