-- Payments of accounts that can be judged for anomalies.
-- Grain: one row per received bronze row.
with
received as (
    select
        transaction_id,
        account_id,
        merchant_id,
        nullif(lower(trim(category)), '') as category,
        occurred_at,
        amount,
        nullif(upper(trim(currency)), '') as currency,
        nullif(lower(trim(channel)), '') as channel,
        _ingested_at,
        _source,
        _batch_id,
        _line
    from bronze.transactions
)
select
    transaction_id,
    account_id,
    merchant_id,
    category,
    occurred_at,
    amount,
    currency,
    channel,
    cast(occurred_at as date) as transaction_date,
    _ingested_at,
    _source,
    _batch_id,
    _line,
    substr(
        case when coalesce(transaction_id, '') = '' then ',transaction_id_missing' else '' end
        || case when coalesce(account_id, '') = '' then ',account_id_missing' else '' end
        || case when coalesce(merchant_id, '') = '' then ',merchant_id_missing' else '' end
        || case when category is null then ',category_missing' else '' end
        || case when occurred_at is null then ',occurred_at_missing' else '' end
        || case
            when occurred_at < cast('1900-01-01 00:00:00+00:00' as timestamptz)
                or occurred_at >= cast('2201-01-01 00:00:00+00:00' as timestamptz)
                then ',occurred_at_out_of_range'
            else ''
        end
        || case when amount is null then ',amount_missing' else '' end
        -- ISO 8583 gives an amount twelve digits, two of them cents.
        || case when amount < 0 or amount > 9999999999.99 then ',amount_out_of_range' else '' end
        || case when currency is null then ',currency_missing' else '' end
        || case
            when length(currency) <> 3
                or substr(currency, 1, 1) not between 'A' and 'Z'
                or substr(currency, 2, 1) not between 'A' and 'Z'
                or substr(currency, 3, 1) not between 'A' and 'Z'
                then ',currency_unknown'
            else ''
        end
        || case when channel is null then ',channel_missing' else '' end
        || case when channel not in ('in_store', 'online') then ',channel_unknown' else '' end,
        2
    ) as _broken_rules
from received
