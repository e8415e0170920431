"""What the marts say in a few lines, for whoever reads a run's summary; each line is one SELECT over gold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lake.gated import last_gated
from lake.table import Table
from lake.tables import table as declared
from tasks.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Headline:
    """One line: what is said, its value in words, and what it is compared with or made of."""

    subject: str
    value: str
    detail: str


# A growth in words: +12.3%.
_CHANGE = "format('{:+.1f}%', 100 * (now / nullif(before, 0) - 1))"

# Mart that is read, and the SELECT; the medallion flow's marts first.
HEADLINES: tuple[tuple[str, str], ...] = (
    (
        "gold.daily_kpis",
        f"""
    WITH days AS (SELECT *, max(kpi_date) OVER () - kpi_date AS age FROM gold.daily_kpis),
    sums AS (SELECT sum(net_revenue) FILTER (age < 28)::DOUBLE AS now,
                    sum(net_revenue) FILTER (age BETWEEN 28 AND 55)::DOUBLE AS before,
                    max(kpi_date) AS day FROM days)
    SELECT 'net revenue, 28 days' AS subject, format('{{:,.0f}}', now) AS value,
           coalesce({_CHANGE} || ' on the 28 days before', '') || '; to ' || day AS detail
    FROM sums WHERE now IS NOT NULL""",
    ),
    (
        "gold.daily_kpis",
        f"""
    WITH days AS (SELECT *, max(kpi_date) OVER () - kpi_date AS age FROM gold.daily_kpis),
    users AS (SELECT max(weekly_active_users) FILTER (age = 0) AS now,
                     max(weekly_active_users) FILTER (age = 28) AS before FROM days)
    SELECT 'weekly active users' AS subject, format('{{:,}}', now) AS value,
           coalesce({_CHANGE} || ' on four weeks before', '') AS detail
    FROM users WHERE now IS NOT NULL""",
    ),
    (
        "gold.revenue",
        f"""
    WITH months AS (SELECT *, mrr_end::DOUBLE AS now, mrr_start::DOUBLE AS before FROM gold.revenue
                    ORDER BY revenue_month DESC LIMIT 1)
    SELECT 'MRR' AS subject, format('{{:,.0f}}', now) AS value,
           coalesce({_CHANGE} || ' in ' || strftime(revenue_month, '%B %Y'), '')
           || format('; churn {{:,.0f}}, new {{:,.0f}}', mrr_churn::DOUBLE, mrr_new::DOUBLE) AS detail
    FROM months""",
    ),
    (
        "gold.channel_performance",
        """
    WITH channels AS (
        SELECT channel_name, sum(net_revenue)::DOUBLE / nullif(sum(spend), 0)::DOUBLE AS roas,
               sum(spend)::DOUBLE / nullif(sum(new_customers), 0) AS cac
        FROM gold.channel_performance WHERE channel_kind = 'paid' GROUP BY channel_name)
    SELECT 'best paid channel' AS subject, channel_name AS value,
           format('revenue per money spent {:.2f}, cost per customer {:,.0f}', roas, cac) AS detail
    FROM channels WHERE roas IS NOT NULL ORDER BY roas DESC, channel_name LIMIT 1""",
    ),
    (
        "gold.customer_health",
        """
    SELECT 'customers at risk' AS subject, format('{:,}', count(*) FILTER (health_band = 'at_risk')) AS value,
           format('of {:,} active', count(*) FILTER (is_active)) AS detail
    FROM gold.customer_health HAVING count(*) FILTER (is_active) > 0""",
    ),
    (
        "gold.experiment_performance",
        """
    SELECT experiment_id AS subject, format('{:+.1f} points', 100 * absolute_lift) AS value,
           CASE WHEN has_sample_ratio_mismatch THEN 'not to be trusted: sample ratio mismatch'
                WHEN is_significant THEN 'significant' ELSE 'no effect shown' END
           || format('; 95% interval {:+.1f} to {:+.1f}, p = {:.2g}', 100 * lift_ci_low, 100 * lift_ci_high, p_value)
           AS detail
    FROM gold.experiment_performance WHERE absolute_lift IS NOT NULL ORDER BY experiment_id""",
    ),
    (
        "gold.daily_transaction_summary",
        """
    SELECT 'transactions' AS subject, format('{:,}', sum(transactions)::BIGINT) AS value,
           format('{:,} flagged ({:.2f}%), {:,.0f} a day', sum(anomalies)::BIGINT,
                  100 * sum(anomalies) / sum(transactions),
                  sum(anomalies) / (max(transaction_date) - min(transaction_date) + 1)) AS detail
    FROM gold.daily_transaction_summary HAVING count(*) > 0""",
    ),
    (
        "gold.transaction_anomalies",
        """
    SELECT rule AS subject, format('{:,}', count(*)) AS value,
           format('{:,} accounts, amount {:,.2f}', count(DISTINCT account_id), sum(amount)::DOUBLE) AS detail
    FROM (SELECT unnest(rules) AS rule, account_id, amount FROM gold.transaction_anomalies)
    GROUP BY rule ORDER BY rule""",
    ),
    (
        "gold.account_summary",
        """
    SELECT 'most suspicious account' AS subject, account_id AS value,
           format('{:,} of {:,} transactions flagged, highest score {:.3f}', anomalies, transactions, highest_score)
           AS detail
    FROM gold.account_summary WHERE anomalies > 0 ORDER BY anomalies DESC, account_id LIMIT 1""",
    ),
)


def headlines(workspace: Workspace, tables: Sequence[Table]) -> tuple[Headline, ...]:
    """The headlines of the last gated versions of those of `tables` that have some; fewer where they are empty."""
    names = {table.full_name for table in tables}
    chosen = [(declared(name), select) for name, select in HEADLINES if name in names]
    with workspace.engine() as engine:
        for table, _ in chosen:
            gated = last_gated(workspace.lake, table)
            engine.register(table, gated.files if gated else ())
        rows = [row for _, select in chosen for row in engine.query(select).to_pylist()]
    return tuple(Headline(row["subject"], row["value"], row["detail"] or "") for row in rows)
