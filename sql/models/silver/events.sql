-- What known people did in known visits.
-- Grain: one row per received bronze row.
with
received as (
    select
        event_id,
        session_id,
        user_id,
        occurred_at,
        nullif(lower(trim(event_type)), '') as event_type,
        latency_ms,
        _ingested_at,
        _source,
        _batch_id,
        _line
    from bronze.events
),
sessions as (
    select session_id from silver.sessions
),
users as (
    select user_id from silver.users
)
select
    received.event_id,
    received.session_id,
    received.user_id,
    received.occurred_at,
    received.event_type,
    received.latency_ms,
    cast(received.occurred_at as date) as event_date,
    received._ingested_at,
    received._source,
    received._batch_id,
    received._line,
    substr(
        case when coalesce(received.event_id, '') = '' then ',event_id_missing' else '' end
        || case when coalesce(received.session_id, '') = '' then ',session_id_missing' else '' end
        || case
            when received.session_id <> '' and sessions.session_id is null then ',session_id_dangling' else ''
        end
        || case when coalesce(received.user_id, '') = '' then ',user_id_missing' else '' end
        || case when received.user_id <> '' and users.user_id is null then ',user_id_dangling' else '' end
        || case when received.occurred_at is null then ',occurred_at_missing' else '' end
        || case
            when received.occurred_at < cast('1900-01-01 00:00:00+00:00' as timestamptz)
                or received.occurred_at >= cast('2201-01-01 00:00:00+00:00' as timestamptz)
                then ',occurred_at_out_of_range'
            else ''
        end
        || case when received.event_type is null then ',event_type_missing' else '' end
        || case
            when received.event_type not in (
                'page_view', 'signup', 'activation', 'feature_use', 'checkout', 'purchase'
            )
                then ',event_type_unknown'
            else ''
        end
        || case when received.latency_ms is null then ',latency_ms_missing' else '' end
        || case when received.latency_ms < 0 then ',latency_ms_out_of_range' else '' end,
        2
    ) as _broken_rules
from received
left join sessions on received.session_id = sessions.session_id
left join users on received.user_id = users.user_id
