-- People with a first visit, a country and a known channel.
-- Grain: one row per received bronze row.
with
received as (
    select
        user_id,
        first_seen_at,
        channel_id,
        nullif(upper(trim(country)), '') as country,
        nullif(lower(trim(device)), '') as device,
        name,
        _ingested_at,
        _source,
        _batch_id,
        _line
    from bronze.users
),
channels as (
    select channel_id from silver.marketing_channels
)
select
    received.user_id,
    received.first_seen_at,
    received.channel_id,
    received.country,
    received.device,
    received.name,
    cast(received.first_seen_at as date) as first_seen_date,
    received._ingested_at,
    received._source,
    received._batch_id,
    received._line,
    substr(
        case when coalesce(received.user_id, '') = '' then ',user_id_missing' else '' end
        || case when received.first_seen_at is null then ',first_seen_at_missing' else '' end
        || case
            when received.first_seen_at < cast('1900-01-01 00:00:00+00:00' as timestamptz)
                or received.first_seen_at >= cast('2201-01-01 00:00:00+00:00' as timestamptz)
                then ',first_seen_at_out_of_range'
            else ''
        end
        || case when coalesce(received.channel_id, '') = '' then ',channel_id_missing' else '' end
        || case
            when received.channel_id <> '' and channels.channel_id is null then ',channel_id_dangling' else ''
        end
        || case when received.country is null then ',country_missing' else '' end
        || case
            when length(received.country) <> 2
                or substr(received.country, 1, 1) not between 'A' and 'Z'
                or substr(received.country, 2, 1) not between 'A' and 'Z'
                or received.country = 'ZZ'
                then ',country_unknown'
            else ''
        end
        || case when received.device is null then ',device_missing' else '' end
        || case when received.device not in ('desktop', 'mobile', 'tablet') then ',device_unknown' else '' end,
        2
    ) as _broken_rules
from received
left join channels on received.channel_id = channels.channel_id
