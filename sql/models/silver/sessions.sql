-- Visits of known people through known channels, with their length.
-- Grain: one row per received bronze row.
with
received as (
    select
        session_id,
        user_id,
        started_at,
        ended_at,
        channel_id,
        nullif(lower(trim(device)), '') as device,
        _ingested_at,
        _source,
        _batch_id,
        _line
    from bronze.sessions
),
users as (
    select user_id from silver.users
),
channels as (
    select channel_id from silver.marketing_channels
)
select
    received.session_id,
    received.user_id,
    received.started_at,
    received.ended_at,
    received.channel_id,
    received.device,
    cast(received.started_at as date) as session_date,
    -- Only where both moments are in range: elsewhere the difference may not fit.
    case
        when received.started_at >= cast('1900-01-01 00:00:00+00:00' as timestamptz)
            and received.ended_at < cast('2201-01-01 00:00:00+00:00' as timestamptz)
            and received.ended_at >= received.started_at
            then date_diff('microsecond', received.started_at, received.ended_at) // 1000000
    end as duration_s,
    received._ingested_at,
    received._source,
    received._batch_id,
    received._line,
    substr(
        case when coalesce(received.session_id, '') = '' then ',session_id_missing' else '' end
        || case when coalesce(received.user_id, '') = '' then ',user_id_missing' else '' end
        || case when received.user_id <> '' and users.user_id is null then ',user_id_dangling' else '' end
        || case when received.started_at is null then ',started_at_missing' else '' end
        || case
            when received.started_at < cast('1900-01-01 00:00:00+00:00' as timestamptz)
                or received.started_at >= cast('2201-01-01 00:00:00+00:00' as timestamptz)
                then ',started_at_out_of_range'
            else ''
        end
        || case when received.ended_at is null then ',ended_at_missing' else '' end
        || case
            when received.ended_at < cast('1900-01-01 00:00:00+00:00' as timestamptz)
                or received.ended_at >= cast('2201-01-01 00:00:00+00:00' as timestamptz)
                then ',ended_at_out_of_range'
            else ''
        end
        || case when received.ended_at < received.started_at then ',ended_at_before_started_at' else '' end
        || case when coalesce(received.channel_id, '') = '' then ',channel_id_missing' else '' end
        || case
            when received.channel_id <> '' and channels.channel_id is null then ',channel_id_dangling' else ''
        end
        || case when received.device is null then ',device_missing' else '' end
        || case when received.device not in ('desktop', 'mobile', 'tablet') then ',device_unknown' else '' end,
        2
    ) as _broken_rules
from received
left join users on received.user_id = users.user_id
left join channels on received.channel_id = channels.channel_id
