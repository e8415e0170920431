-- When an assigned user saw the variant.
-- Grain: one row per received bronze row.
with
received as (
    select
        exposure_id,
        experiment_id,
        user_id,
        exposed_at,
        _ingested_at,
        _source,
        _batch_id,
        _line
    from bronze.experiment_exposures
),
users as (
    select user_id from silver.users
),
assignments as (
    select distinct
        experiment_id,
        user_id
    from silver.experiment_assignments
)
select
    received.exposure_id,
    received.experiment_id,
    received.user_id,
    received.exposed_at,
    received._ingested_at,
    received._source,
    received._batch_id,
    received._line,
    substr(
        case when coalesce(received.exposure_id, '') = '' then ',exposure_id_missing' else '' end
        || case when coalesce(received.experiment_id, '') = '' then ',experiment_id_missing' else '' end
        || case when coalesce(received.user_id, '') = '' then ',user_id_missing' else '' end
        || case when received.user_id <> '' and users.user_id is null then ',user_id_dangling' else '' end
        || case when received.exposed_at is null then ',exposed_at_missing' else '' end
        || case
            when received.exposed_at < cast('1900-01-01 00:00:00+00:00' as timestamptz)
                or received.exposed_at >= cast('2201-01-01 00:00:00+00:00' as timestamptz)
                then ',exposed_at_out_of_range'
            else ''
        end
        || case
            when received.experiment_id <> ''
                and received.user_id <> ''
                and assignments.user_id is null
                then ',assignment_dangling'
            else ''
        end,
        2
    ) as _broken_rules
from received
left join users on received.user_id = users.user_id
left join assignments
    on received.experiment_id = assignments.experiment_id and received.user_id = assignments.user_id
