-- What each marketing channel cost and brought.
-- Grain: one row per month and channel with spend, new users, new customers, payments or refunds.
with
channels as (
    select
        channel_id,
        name,
        kind
    from silver.marketing_channels
),
users as (
    select
        user_id,
        channel_id,
        first_seen_date
    from silver.users
),
invoices as (
    select
        invoice_id,
        user_id
    from silver.invoices
),
payments as (
    select
        payment_id,
        invoice_id,
        paid_date,
        amount,
        is_successful
    from silver.payments
),
first_subscriptions as (
    select
        user_id,
        min(start_date) as start_date
    from silver.subscriptions
    group by user_id
),
-- Every figure as rows of one shape, so that one aggregation brings them together.
contributions as (
    select
        spend_date as contribution_date,
        channel_id,
        amount as spend,
        impressions,
        clicks,
        0 as new_users,
        0 as new_customers,
        cast(0 as decimal(18, 2)) as net_revenue
    from silver.marketing_spend
    union all
    select
        first_seen_date as contribution_date,
        channel_id,
        cast(0 as decimal(18, 2)) as spend,
        0 as impressions,
        0 as clicks,
        1 as new_users,
        0 as new_customers,
        cast(0 as decimal(18, 2)) as net_revenue
    from users
    union all
    select
        first_subscriptions.start_date as contribution_date,
        users.channel_id,
        cast(0 as decimal(18, 2)) as spend,
        0 as impressions,
        0 as clicks,
        0 as new_users,
        1 as new_customers,
        cast(0 as decimal(18, 2)) as net_revenue
    from first_subscriptions
    inner join users on first_subscriptions.user_id = users.user_id
    union all
    select
        payments.paid_date as contribution_date,
        users.channel_id,
        cast(0 as decimal(18, 2)) as spend,
        0 as impressions,
        0 as clicks,
        0 as new_users,
        0 as new_customers,
        payments.amount as net_revenue
    from payments
    inner join invoices on payments.invoice_id = invoices.invoice_id
    inner join users on invoices.user_id = users.user_id
    where payments.is_successful
    union all
    select
        refunds.refunded_date as contribution_date,
        users.channel_id,
        cast(0 as decimal(18, 2)) as spend,
        0 as impressions,
        0 as clicks,
        0 as new_users,
        0 as new_customers,
        -refunds.amount as net_revenue
    from silver.refunds
    inner join payments on refunds.payment_id = payments.payment_id
    inner join invoices on payments.invoice_id = invoices.invoice_id
    inner join users on invoices.user_id = users.user_id
),
monthly as (
    select
        cast(date_trunc('month', contribution_date) as date) as channel_month,
        channel_id,
        cast(sum(spend) as decimal(38, 2)) as spend,
        cast(sum(impressions) as bigint) as impressions,
        cast(sum(clicks) as bigint) as clicks,
        cast(sum(new_users) as bigint) as new_users,
        cast(sum(new_customers) as bigint) as new_customers,
        cast(sum(net_revenue) as decimal(38, 2)) as net_revenue
    from contributions
    group by cast(date_trunc('month', contribution_date) as date), channel_id
),
cents as (
    select
        channel_month,
        channel_id,
        cast(spend * 100 as bigint) as spend_cents,
        cast(spend * 100 as bigint) % new_customers as remainder_cents,
        new_customers
    from monthly
    where new_customers > 0
),
-- Whole cents only, so that no float comes near money; spend is never negative, so half up is half away from zero.
acquisition_costs as (
    select
        channel_month,
        channel_id,
        cast(
            (spend_cents - remainder_cents) // new_customers
            + case when remainder_cents >= new_customers - remainder_cents then 1 else 0 end as decimal(20, 0)
        ) * cast(0.01 as decimal(3, 2)) as cac
    from cents
)
select
    monthly.channel_month,
    monthly.channel_id,
    channels.name as channel_name,
    channels.kind as channel_kind,
    monthly.spend,
    monthly.impressions,
    monthly.clicks,
    monthly.new_users,
    monthly.new_customers,
    monthly.net_revenue,
    cast(monthly.clicks as double) / cast(nullif(monthly.impressions, 0) as double) as click_through_rate,
    cast(acquisition_costs.cac as decimal(18, 2)) as cac,
    cast(monthly.net_revenue as double) / cast(nullif(monthly.spend, 0) as double) as roas
from monthly
inner join channels on monthly.channel_id = channels.channel_id
left join acquisition_costs
    on monthly.channel_month = acquisition_costs.channel_month and monthly.channel_id = acquisition_costs.channel_id
