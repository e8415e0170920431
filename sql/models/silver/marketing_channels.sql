-- Marketing channels with a known kind.
-- Grain: one row per received bronze row.
with
received as (
    select
        channel_id,
        name,
        nullif(lower(trim(kind)), '') as kind,
        _ingested_at,
        _source,
        _batch_id,
        _line
    from bronze.marketing_channels
)
select
    channel_id,
    name,
    kind,
    kind = 'paid' as is_paid,
    _ingested_at,
    _source,
    _batch_id,
    _line,
    substr(
        case when coalesce(channel_id, '') = '' then ',channel_id_missing' else '' end
        || case when coalesce(name, '') = '' then ',name_missing' else '' end
        || case when kind is null then ',kind_missing' else '' end
        || case when kind not in ('paid', 'organic', 'referral', 'email') then ',kind_unknown' else '' end,
        2
    ) as _broken_rules
from received
