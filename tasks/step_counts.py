"""How many steps a run has in which everything is new: what a bar or a percentage is a share of."""

from __future__ import annotations

from lake.tables import ANOMALIES, COMPANY_BRONZE, COMPANY_SILVER, MARTS

# Each table is built and checked, each of three layers published; then sources, exports and report.
MEDALLION_STEPS = 2 * (len(COMPANY_BRONZE) + len(COMPANY_SILVER) + len(MARTS)) + 3 + 3
# The feed tells of ten tenths; two tables are landed, built, checked and published, four more checked and published;
# rows that came over HTTP are checked and admitted.
TRANSACTIONS_STEPS = 10 + 2 * 4 + 2 + 2 * len(ANOMALIES) + 4
EXPORTS_STEPS = 3
