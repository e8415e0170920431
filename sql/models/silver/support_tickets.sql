-- Requests of known users to support, with the waits in whole minutes.
-- Grain: one row per received bronze row.
with
received as (
    select
        ticket_id,
        user_id,
        opened_at,
        first_response_at,
        resolved_at,
        nullif(lower(trim(priority)), '') as priority,
        nullif(lower(trim(category)), '') as category,
        satisfaction,
        _ingested_at,
        _source,
        _batch_id,
        _line
    from bronze.support_tickets
),
users as (
    select user_id from silver.users
)
select
    received.ticket_id,
    received.user_id,
    received.opened_at,
    received.first_response_at,
    received.resolved_at,
    received.priority,
    received.category,
    received.satisfaction,
    cast(received.opened_at as date) as opened_date,
    -- Only where both moments are in range: elsewhere the difference may not fit.
    case
        when received.opened_at >= cast('1900-01-01 00:00:00+00:00' as timestamptz)
            and received.first_response_at < cast('2201-01-01 00:00:00+00:00' as timestamptz)
            and received.first_response_at >= received.opened_at
            then date_diff('microsecond', received.opened_at, received.first_response_at) // 60000000
    end as first_response_minutes,
    case
        when received.opened_at >= cast('1900-01-01 00:00:00+00:00' as timestamptz)
            and received.resolved_at < cast('2201-01-01 00:00:00+00:00' as timestamptz)
            and received.resolved_at >= received.opened_at
            then date_diff('microsecond', received.opened_at, received.resolved_at) // 60000000
    end as resolution_minutes,
    received._ingested_at,
    received._source,
    received._batch_id,
    received._line,
    substr(
        case when coalesce(received.ticket_id, '') = '' then ',ticket_id_missing' else '' end
        || case when coalesce(received.user_id, '') = '' then ',user_id_missing' else '' end
        || case when received.user_id <> '' and users.user_id is null then ',user_id_dangling' else '' end
        || case when received.opened_at is null then ',opened_at_missing' else '' end
        || case
            when received.opened_at < cast('1900-01-01 00:00:00+00:00' as timestamptz)
                or received.opened_at >= cast('2201-01-01 00:00:00+00:00' as timestamptz)
                then ',opened_at_out_of_range'
            else ''
        end
        || case
            when received.first_response_at < cast('1900-01-01 00:00:00+00:00' as timestamptz)
                or received.first_response_at >= cast('2201-01-01 00:00:00+00:00' as timestamptz)
                then ',first_response_at_out_of_range'
            else ''
        end
        || case
            when received.first_response_at < received.opened_at
                then ',first_response_at_before_opened_at'
            else ''
        end
        || case
            when received.resolved_at < cast('1900-01-01 00:00:00+00:00' as timestamptz)
                or received.resolved_at >= cast('2201-01-01 00:00:00+00:00' as timestamptz)
                then ',resolved_at_out_of_range'
            else ''
        end
        || case when received.resolved_at < received.opened_at then ',resolved_at_before_opened_at' else '' end
        || case when received.priority is null then ',priority_missing' else '' end
        || case when received.priority not in ('low', 'normal', 'high', 'urgent') then ',priority_unknown' else '' end
        || case when received.category is null then ',category_missing' else '' end
        || case
            when received.category not in ('billing', 'bug', 'how_to', 'account')
                then ',category_unknown'
            else ''
        end
        || case
            when received.satisfaction < 1
                or received.satisfaction > 5
                then ',satisfaction_out_of_range'
            else ''
        end,
        2
    ) as _broken_rules
from received
left join users on received.user_id = users.user_id
