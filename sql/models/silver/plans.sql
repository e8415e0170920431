-- Plans with a price and a rank.
-- Grain: one row per received bronze row.
with
received as (
    select
        plan_id,
        name,
        monthly_price,
        tier,
        _ingested_at,
        _source,
        _batch_id,
        _line
    from bronze.plans
)
select
    plan_id,
    name,
    monthly_price,
    tier,
    _ingested_at,
    _source,
    _batch_id,
    _line,
    substr(
        case when coalesce(plan_id, '') = '' then ',plan_id_missing' else '' end
        || case when coalesce(name, '') = '' then ',name_missing' else '' end
        || case when monthly_price is null then ',monthly_price_missing' else '' end
        || case when monthly_price < 0 then ',monthly_price_out_of_range' else '' end
        || case when tier is null then ',tier_missing' else '' end
        || case when tier < 1 then ',tier_out_of_range' else '' end,
        2
    ) as _broken_rules
from received
