-- What was billed for a known subscription to a known user.
-- Grain: one row per received bronze row.
with
received as (
    select
        invoice_id,
        subscription_id,
        user_id,
        issued_at,
        period_start,
        period_end,
        amount,
        _ingested_at,
        _source,
        _batch_id,
        _line
    from bronze.invoices
),
subscriptions as (
    select subscription_id from silver.subscriptions
),
users as (
    select user_id from silver.users
)
select
    received.invoice_id,
    received.subscription_id,
    received.user_id,
    received.issued_at,
    received.period_start,
    received.period_end,
    received.amount,
    cast(received.issued_at as date) as issued_date,
    received._ingested_at,
    received._source,
    received._batch_id,
    received._line,
    substr(
        case when coalesce(received.invoice_id, '') = '' then ',invoice_id_missing' else '' end
        || case when coalesce(received.subscription_id, '') = '' then ',subscription_id_missing' else '' end
        || case
            when received.subscription_id <> ''
                and subscriptions.subscription_id is null
                then ',subscription_id_dangling'
            else ''
        end
        || case when coalesce(received.user_id, '') = '' then ',user_id_missing' else '' end
        || case when received.user_id <> '' and users.user_id is null then ',user_id_dangling' else '' end
        || case when received.issued_at is null then ',issued_at_missing' else '' end
        || case
            when received.issued_at < cast('1900-01-01 00:00:00+00:00' as timestamptz)
                or received.issued_at >= cast('2201-01-01 00:00:00+00:00' as timestamptz)
                then ',issued_at_out_of_range'
            else ''
        end
        || case when received.period_start is null then ',period_start_missing' else '' end
        || case
            when received.period_start < cast('1900-01-01' as date)
                or received.period_start >= cast('2201-01-01' as date)
                then ',period_start_out_of_range'
            else ''
        end
        || case when received.period_end is null then ',period_end_missing' else '' end
        || case
            when received.period_end < cast('1900-01-01' as date)
                or received.period_end >= cast('2201-01-01' as date)
                then ',period_end_out_of_range'
            else ''
        end
        || case
            when received.period_end <= received.period_start
                then ',period_end_not_after_period_start'
            else ''
        end
        || case when received.amount is null then ',amount_missing' else '' end
        || case when received.amount < 0 then ',amount_out_of_range' else '' end,
        2
    ) as _broken_rules
from received
left join subscriptions on received.subscription_id = subscriptions.subscription_id
left join users on received.user_id = users.user_id
