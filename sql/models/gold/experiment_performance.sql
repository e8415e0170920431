-- Treatment against control: lift with its interval, test of equal rates, and whether the split can be trusted.
-- Grain: one row per experiment.
with
ranked_assignments as (
    select
        experiment_id,
        user_id,
        variant,
        row_number() over (
            partition by experiment_id, user_id
            order by assigned_at asc nulls last, assignment_id asc nulls last
        ) as assignment_number
    from silver.experiment_assignments
),
-- A user drawn more than once keeps the first variant and counts once.
assignments as (
    select
        experiment_id,
        user_id,
        variant
    from ranked_assignments
    where assignment_number = 1
),
exposures as (
    select
        experiment_id,
        user_id,
        min(exposed_at) as first_exposed_at
    from silver.experiment_exposures
    group by experiment_id, user_id
),
conversions as (
    select
        experiment_id,
        user_id,
        max(converted_at) as last_converted_at
    from silver.experiment_conversions
    group by experiment_id, user_id
),
outcomes as (
    select
        assignments.experiment_id,
        case when assignments.variant = 'treatment' then 1 else 0 end as is_treatment,
        case when exposures.user_id is not null then 1 else 0 end as is_exposed,
        case when conversions.last_converted_at >= exposures.first_exposed_at then 1 else 0 end as is_converted
    from assignments
    left join exposures
        on assignments.experiment_id = exposures.experiment_id and assignments.user_id = exposures.user_id
    left join conversions
        on assignments.experiment_id = conversions.experiment_id and assignments.user_id = conversions.user_id
),
counts as (
    select
        experiment_id,
        cast(count(*) as double) as assigned,
        cast(sum(is_treatment) as double) as assigned_to_treatment,
        cast(sum((1 - is_treatment) * is_exposed) as bigint) as control_users,
        cast(sum(is_treatment * is_exposed) as bigint) as treatment_users,
        cast(sum((1 - is_treatment) * is_converted) as bigint) as control_conversions,
        cast(sum(is_treatment * is_converted) as bigint) as treatment_conversions
    from outcomes
    group by experiment_id
),
rates as (
    select
        experiment_id,
        control_users,
        treatment_users,
        control_conversions,
        treatment_conversions,
        cast(nullif(control_users, 0) as double) as n1,
        cast(nullif(treatment_users, 0) as double) as n2,
        cast(control_conversions as double) / cast(nullif(control_users, 0) as double) as p1,
        cast(treatment_conversions as double) / cast(nullif(treatment_users, 0) as double) as p2,
        cast(control_conversions + treatment_conversions as double)
        / cast(nullif(control_users + treatment_users, 0) as double) as pooled,
        abs(2 * assigned_to_treatment - assigned) / sqrt(assigned) as ratio_z
    from counts
),
-- A pooled rate of 0 or 1 leaves no variance to test against: NULL.
statistics as (
    select
        experiment_id,
        sqrt(p1 * (1 - p1) / n1 + p2 * (1 - p2) / n2) as standard_error,
        (p2 - p1) / nullif(sqrt(pooled * (1 - pooled) * (1 / n1 + 1 / n2)), 0) as z_score
    from rates
),
-- Both tests ask for the upper tail of the normal distribution at |z|.
tests as (
    select
        experiment_id,
        'rates' as test,
        abs(z_score) as z
    from statistics
    where z_score is not null
    union all
    select
        experiment_id,
        'sample_ratio' as test,
        ratio_z as z
    from rates
),
-- Abramowitz and Stegun 26.2.17: t = 1 / (1 + p |z|), tail = density * (b1 t + b2 t^2 + ... + b5 t^5).
expansions as (
    select
        experiment_id,
        test,
        exp(-z * z / 2) * cast(0.3989422804014327 as double) as density,
        1 / (1 + cast(0.2316419 as double) * z) as t
    from tests
),
p_values as (
    select
        experiment_id,
        test,
        least(
            2 * density * t * (
                cast(0.319381530 as double) + t * (
                    cast(-0.356563782 as double) + t * (
                        cast(1.781477937 as double) + t * (
                            cast(-1.821255978 as double) + t * cast(1.330274429 as double)
                        )
                    )
                )
            ),
            cast(1 as double)
        ) as p_value
    from expansions
)
select
    rates.experiment_id,
    rates.control_users,
    rates.treatment_users,
    rates.control_conversions,
    rates.treatment_conversions,
    rates.p1 as control_rate,
    rates.p2 as treatment_rate,
    rates.p2 - rates.p1 as absolute_lift,
    (rates.p2 - rates.p1) / nullif(rates.p1, 0) as relative_lift,
    rates.p2 - rates.p1 - cast(1.959963984540054 as double) * statistics.standard_error as lift_ci_low,
    rates.p2 - rates.p1 + cast(1.959963984540054 as double) * statistics.standard_error as lift_ci_high,
    statistics.z_score,
    rate_tests.p_value,
    ratio_tests.p_value as sample_ratio_p_value,
    ratio_tests.p_value < cast(0.001 as double) as has_sample_ratio_mismatch,
    coalesce(rate_tests.p_value < cast(0.05 as double), false)
    and ratio_tests.p_value >= cast(0.001 as double) as is_significant
from rates
inner join statistics on rates.experiment_id = statistics.experiment_id
inner join p_values as ratio_tests
    on rates.experiment_id = ratio_tests.experiment_id and ratio_tests.test = 'sample_ratio'
left join p_values as rate_tests
    on rates.experiment_id = rate_tests.experiment_id and rate_tests.test = 'rates'
