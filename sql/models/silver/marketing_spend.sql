-- Money spent on known channels.
-- Grain: one row per received bronze row.
with
received as (
    select
        spend_id,
        channel_id,
        spend_date,
        amount,
        impressions,
        clicks,
        _ingested_at,
        _source,
        _batch_id,
        _line
    from bronze.marketing_spend
),
channels as (
    select channel_id from silver.marketing_channels
)
select
    received.spend_id,
    received.channel_id,
    received.spend_date,
    received.amount,
    received.impressions,
    received.clicks,
    received._ingested_at,
    received._source,
    received._batch_id,
    received._line,
    substr(
        case when coalesce(received.spend_id, '') = '' then ',spend_id_missing' else '' end
        || case when coalesce(received.channel_id, '') = '' then ',channel_id_missing' else '' end
        || case when received.channel_id <> '' and channels.channel_id is null then ',channel_id_dangling' else '' end
        || case when received.spend_date is null then ',spend_date_missing' else '' end
        || case
            when received.spend_date < cast('1900-01-01' as date)
                or received.spend_date >= cast('2201-01-01' as date)
                then ',spend_date_out_of_range'
            else ''
        end
        || case when received.amount is null then ',amount_missing' else '' end
        || case when received.amount < 0 then ',amount_out_of_range' else '' end
        || case when received.impressions is null then ',impressions_missing' else '' end
        || case when received.impressions < 0 then ',impressions_out_of_range' else '' end
        || case when received.clicks is null then ',clicks_missing' else '' end
        || case
            when received.clicks < 0
                or received.clicks > received.impressions
                then ',clicks_out_of_range'
            else ''
        end,
        2
    ) as _broken_rules
from received
left join channels on received.channel_id = channels.channel_id
