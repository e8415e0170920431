-- Periods in which a known user paid for a known plan.
-- Grain: one row per received bronze row.
with
received as (
    select
        subscription_id,
        user_id,
        plan_id,
        started_at,
        ended_at,
        nullif(lower(trim(end_reason)), '') as end_reason,
        _ingested_at,
        _source,
        _batch_id,
        _line
    from bronze.subscriptions
),
users as (
    select user_id from silver.users
),
plans as (
    select plan_id from silver.plans
)
select
    received.subscription_id,
    received.user_id,
    received.plan_id,
    received.started_at,
    received.ended_at,
    received.end_reason,
    cast(received.started_at as date) as start_date,
    cast(received.ended_at as date) as end_date,
    received.ended_at is null as is_active,
    received._ingested_at,
    received._source,
    received._batch_id,
    received._line,
    substr(
        case when coalesce(received.subscription_id, '') = '' then ',subscription_id_missing' else '' end
        || case when coalesce(received.user_id, '') = '' then ',user_id_missing' else '' end
        || case when received.user_id <> '' and users.user_id is null then ',user_id_dangling' else '' end
        || case when coalesce(received.plan_id, '') = '' then ',plan_id_missing' else '' end
        || case when received.plan_id <> '' and plans.plan_id is null then ',plan_id_dangling' else '' end
        || case when received.started_at is null then ',started_at_missing' else '' end
        || case
            when received.started_at < cast('1900-01-01 00:00:00+00:00' as timestamptz)
                or received.started_at >= cast('2201-01-01 00:00:00+00:00' as timestamptz)
                then ',started_at_out_of_range'
            else ''
        end
        || case
            when received.ended_at < cast('1900-01-01 00:00:00+00:00' as timestamptz)
                or received.ended_at >= cast('2201-01-01 00:00:00+00:00' as timestamptz)
                then ',ended_at_out_of_range'
            else ''
        end
        || case when received.ended_at < received.started_at then ',ended_at_before_started_at' else '' end
        || case when received.end_reason not in ('cancelled', 'plan_change') then ',end_reason_unknown' else '' end,
        2
    ) as _broken_rules
from received
left join users on received.user_id = users.user_id
left join plans on received.plan_id = plans.plan_id
