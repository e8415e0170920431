-- Movements of monthly recurring revenue (MRR), and what was billed, paid and refunded.
-- Grain: one row per month from the first to the last with a subscription, invoice, payment or refund.
with
subscriptions as (
    select
        subscriptions.user_id,
        subscriptions.started_at,
        subscriptions.ended_at,
        cast(date_trunc('month', subscriptions.start_date) as date) as start_month,
        cast(date_trunc('month', subscriptions.end_date) as date) as end_month,
        plans.monthly_price
    from silver.subscriptions
    inner join silver.plans on subscriptions.plan_id = plans.plan_id
),
invoices as (
    select
        cast(date_trunc('month', issued_date) as date) as revenue_month,
        sum(amount) as invoiced
    from silver.invoices
    group by cast(date_trunc('month', issued_date) as date)
),
payments as (
    select
        cast(date_trunc('month', paid_date) as date) as revenue_month,
        sum(amount) as collected
    from silver.payments
    where is_successful
    group by cast(date_trunc('month', paid_date) as date)
),
refunds as (
    select
        cast(date_trunc('month', refunded_date) as date) as revenue_month,
        sum(amount) as refunded
    from silver.refunds
    group by cast(date_trunc('month', refunded_date) as date)
),
span as (
    select
        min(revenue_month) as first_month,
        max(revenue_month) as last_month
    from (
        select start_month as revenue_month from subscriptions
        union all
        select end_month as revenue_month from subscriptions
        union all
        select revenue_month from invoices
        union all
        select revenue_month from payments
        union all
        select revenue_month from refunds
    ) as touched
),
digits as (
    select 0 as digit
    union all select 1
    union all select 2
    union all select 3
    union all select 4
    union all select 5
    union all select 6
    union all select 7
    union all select 8
    union all select 9
),
month_numbers as (
    select
        12 * year(span.first_month) + month(span.first_month) - 1
        + ones.digit + 10 * tens.digit + 100 * hundreds.digit + 1000 * thousands.digit as month_number,
        12 * year(span.last_month) + month(span.last_month) - 1 as last_number
    from span
    cross join digits as ones
    cross join digits as tens
    cross join digits as hundreds
    cross join digits as thousands
),
months as (
    select make_date(month_number // 12, month_number % 12 + 1, 1) as revenue_month
    from month_numbers
    where month_number <= last_number
),
-- A subscription runs at the last moment of every month from that of its start to the one before that of its end.
changes as (
    select
        user_id,
        start_month as change_month,
        monthly_price as change
    from subscriptions
    union all
    select
        user_id,
        end_month as change_month,
        -monthly_price as change
    from subscriptions
    where end_month is not null
),
net_changes as (
    select
        user_id,
        change_month,
        sum(change) as change
    from changes
    group by user_id, change_month
),
balances as (
    select
        user_id,
        change_month,
        change,
        sum(change) over (
            partition by user_id
            order by change_month asc nulls last
            rows between unbounded preceding and current row
        ) as mrr_after
    from net_changes
),
-- The first month in which a user's MRR was positive at any moment, be it for an hour.
first_months as (
    select
        user_id,
        min(start_month) as first_month
    from subscriptions
    where monthly_price > 0 and (ended_at is null or ended_at > started_at)
    group by user_id
),
user_movements as (
    select
        balances.change_month,
        balances.mrr_after - balances.change as mrr_before,
        balances.mrr_after,
        case when balances.change_month = first_months.first_month then 1 else 0 end as is_first
    from balances
    left join first_months on balances.user_id = first_months.user_id
),
movements as (
    select
        change_month,
        sum(case when mrr_before = 0 and is_first = 1 then mrr_after else 0 end) as mrr_new,
        sum(case when mrr_before = 0 and is_first = 0 then mrr_after else 0 end) as mrr_reactivation,
        sum(case when mrr_before > 0 and mrr_after > mrr_before then mrr_after - mrr_before else 0 end)
            as mrr_expansion,
        sum(case when mrr_after > 0 and mrr_after < mrr_before then mrr_before - mrr_after else 0 end)
            as mrr_contraction,
        sum(case when mrr_before > 0 and mrr_after = 0 then mrr_before else 0 end) as mrr_churn,
        sum(
            case when mrr_before = 0 and mrr_after > 0 then 1 when mrr_before > 0 and mrr_after = 0 then -1 else 0 end
        ) as customers
    from user_movements
    group by change_month
),
monthly as (
    select
        months.revenue_month,
        coalesce(movements.mrr_new, 0) as mrr_new,
        coalesce(movements.mrr_reactivation, 0) as mrr_reactivation,
        coalesce(movements.mrr_expansion, 0) as mrr_expansion,
        coalesce(movements.mrr_contraction, 0) as mrr_contraction,
        coalesce(movements.mrr_churn, 0) as mrr_churn,
        coalesce(movements.customers, 0) as customers
    from months
    left join movements on months.revenue_month = movements.change_month
),
running as (
    select
        revenue_month,
        mrr_new,
        mrr_reactivation,
        mrr_expansion,
        mrr_contraction,
        mrr_churn,
        sum(mrr_new + mrr_reactivation + mrr_expansion - mrr_contraction - mrr_churn) over (
            order by revenue_month asc nulls last rows between unbounded preceding and current row
        ) as mrr_end,
        sum(customers) over (
            order by revenue_month asc nulls last rows between unbounded preceding and current row
        ) as customers_end
    from monthly
),
figures as (
    select
        revenue_month,
        cast(mrr_end - mrr_new - mrr_reactivation - mrr_expansion + mrr_contraction + mrr_churn as decimal(38, 2))
            as mrr_start,
        cast(mrr_new as decimal(38, 2)) as mrr_new,
        cast(mrr_reactivation as decimal(38, 2)) as mrr_reactivation,
        cast(mrr_expansion as decimal(38, 2)) as mrr_expansion,
        cast(mrr_contraction as decimal(38, 2)) as mrr_contraction,
        cast(mrr_churn as decimal(38, 2)) as mrr_churn,
        cast(mrr_end as decimal(38, 2)) as mrr_end,
        cast(customers_end as bigint) as customers_end
    from running
)
select
    figures.revenue_month,
    figures.mrr_start,
    figures.mrr_new,
    figures.mrr_reactivation,
    figures.mrr_expansion,
    figures.mrr_contraction,
    figures.mrr_churn,
    figures.mrr_end,
    figures.customers_end,
    cast(coalesce(invoices.invoiced, 0) as decimal(38, 2)) as invoiced,
    cast(coalesce(payments.collected, 0) as decimal(38, 2)) as collected,
    cast(coalesce(refunds.refunded, 0) as decimal(38, 2)) as refunded,
    cast(figures.mrr_churn + figures.mrr_contraction as double)
    / cast(nullif(figures.mrr_start, 0) as double) as gross_churn_rate,
    cast(figures.mrr_start + figures.mrr_expansion - figures.mrr_contraction - figures.mrr_churn as double)
    / cast(nullif(figures.mrr_start, 0) as double) as net_revenue_retention
from figures
left join invoices on figures.revenue_month = invoices.revenue_month
left join payments on figures.revenue_month = payments.revenue_month
left join refunds on figures.revenue_month = refunds.revenue_month
