-- Attempts to pay a known invoice.
-- Grain: one row per received bronze row.
with
received as (
    select
        payment_id,
        invoice_id,
        paid_at,
        amount,
        nullif(lower(trim(status)), '') as status,
        nullif(lower(trim(method)), '') as method,
        _ingested_at,
        _source,
        _batch_id,
        _line
    from bronze.payments
),
invoices as (
    select invoice_id from silver.invoices
)
select
    received.payment_id,
    received.invoice_id,
    received.paid_at,
    received.amount,
    received.status,
    received.method,
    cast(received.paid_at as date) as paid_date,
    received.status = 'succeeded' as is_successful,
    received._ingested_at,
    received._source,
    received._batch_id,
    received._line,
    substr(
        case when coalesce(received.payment_id, '') = '' then ',payment_id_missing' else '' end
        || case when coalesce(received.invoice_id, '') = '' then ',invoice_id_missing' else '' end
        || case when received.invoice_id <> '' and invoices.invoice_id is null then ',invoice_id_dangling' else '' end
        || case when received.paid_at is null then ',paid_at_missing' else '' end
        || case
            when received.paid_at < cast('1900-01-01 00:00:00+00:00' as timestamptz)
                or received.paid_at >= cast('2201-01-01 00:00:00+00:00' as timestamptz)
                then ',paid_at_out_of_range'
            else ''
        end
        || case when received.amount is null then ',amount_missing' else '' end
        || case when received.amount < 0 then ',amount_out_of_range' else '' end
        || case when received.status is null then ',status_missing' else '' end
        || case when received.status not in ('succeeded', 'failed') then ',status_unknown' else '' end
        || case when received.method is null then ',method_missing' else '' end
        || case when received.method not in ('card', 'transfer', 'wallet') then ',method_unknown' else '' end,
        2
    ) as _broken_rules
from received
left join invoices on received.invoice_id = invoices.invoice_id
