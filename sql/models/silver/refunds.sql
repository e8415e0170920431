-- Money given back for a known payment.
-- Grain: one row per received bronze row.
with
received as (
    select
        refund_id,
        payment_id,
        refunded_at,
        amount,
        nullif(lower(trim(reason)), '') as reason,
        _ingested_at,
        _source,
        _batch_id,
        _line
    from bronze.refunds
),
payments as (
    select payment_id from silver.payments
)
select
    received.refund_id,
    received.payment_id,
    received.refunded_at,
    received.amount,
    received.reason,
    cast(received.refunded_at as date) as refunded_date,
    received._ingested_at,
    received._source,
    received._batch_id,
    received._line,
    substr(
        case when coalesce(received.refund_id, '') = '' then ',refund_id_missing' else '' end
        || case when coalesce(received.payment_id, '') = '' then ',payment_id_missing' else '' end
        || case when received.payment_id <> '' and payments.payment_id is null then ',payment_id_dangling' else '' end
        || case when received.refunded_at is null then ',refunded_at_missing' else '' end
        || case
            when received.refunded_at < cast('1900-01-01 00:00:00+00:00' as timestamptz)
                or received.refunded_at >= cast('2201-01-01 00:00:00+00:00' as timestamptz)
                then ',refunded_at_out_of_range'
            else ''
        end
        || case when received.amount is null then ',amount_missing' else '' end
        || case when received.amount <= 0 then ',amount_out_of_range' else '' end
        || case when received.reason is null then ',reason_missing' else '' end
        || case when received.reason not in ('dissatisfied', 'mistake', 'fraud') then ',reason_unknown' else '' end,
        2
    ) as _broken_rules
from received
left join payments on received.payment_id = payments.payment_id
