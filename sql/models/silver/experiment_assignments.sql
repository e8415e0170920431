-- Which known user got which variant.
-- Grain: one row per received bronze row.
with
received as (
    select
        assignment_id,
        experiment_id,
        user_id,
        nullif(lower(trim(variant)), '') as variant,
        assigned_at,
        _ingested_at,
        _source,
        _batch_id,
        _line
    from bronze.experiment_assignments
),
users as (
    select user_id from silver.users
)
select
    received.assignment_id,
    received.experiment_id,
    received.user_id,
    received.variant,
    received.assigned_at,
    received._ingested_at,
    received._source,
    received._batch_id,
    received._line,
    substr(
        case when coalesce(received.assignment_id, '') = '' then ',assignment_id_missing' else '' end
        || case when coalesce(received.experiment_id, '') = '' then ',experiment_id_missing' else '' end
        || case when coalesce(received.user_id, '') = '' then ',user_id_missing' else '' end
        || case when received.user_id <> '' and users.user_id is null then ',user_id_dangling' else '' end
        || case when received.variant is null then ',variant_missing' else '' end
        || case when received.variant not in ('control', 'treatment') then ',variant_unknown' else '' end
        || case when received.assigned_at is null then ',assigned_at_missing' else '' end
        || case
            when received.assigned_at < cast('1900-01-01 00:00:00+00:00' as timestamptz)
                or received.assigned_at >= cast('2201-01-01 00:00:00+00:00' as timestamptz)
                then ',assigned_at_out_of_range'
            else ''
        end,
        2
    ) as _broken_rules
from received
left join users on received.user_id = users.user_id
