-- How far the people of one first-visit month and channel came.
-- Grain: one row per cohort month, channel and step; all five steps of a cohort are there, empty ones too.
with
users as (
    select
        user_id,
        channel_id,
        cast(date_trunc('month', first_seen_date) as date) as cohort_month
    from silver.users
),
steps_of_users as (
    select
        user_id,
        max(case when event_type = 'signup' then 1 else 0 end) as signup,
        max(case when event_type = 'activation' then 1 else 0 end) as activation,
        max(case when event_type = 'checkout' then 1 else 0 end) as checkout,
        max(case when event_type = 'purchase' then 1 else 0 end) as purchase
    from silver.events
    where event_type in ('signup', 'activation', 'checkout', 'purchase')
    group by user_id
),
-- A product of flags is 1 only when every step so far was taken.
cohorts as (
    select
        users.cohort_month,
        users.channel_id,
        count(*) as visits,
        sum(coalesce(taken.signup, 0)) as signups,
        sum(coalesce(taken.signup * taken.activation, 0)) as activations,
        sum(coalesce(taken.signup * taken.activation * taken.checkout, 0)) as checkouts,
        sum(coalesce(taken.signup * taken.activation * taken.checkout * taken.purchase, 0)) as purchases
    from users
    left join steps_of_users as taken on users.user_id = taken.user_id
    group by users.cohort_month, users.channel_id
),
steps as (
    select
        cohort_month,
        channel_id,
        1 as step_number,
        'visit' as step,
        visits as users,
        visits as before,
        visits
    from cohorts
    union all
    select
        cohort_month,
        channel_id,
        2 as step_number,
        'signup' as step,
        signups as users,
        visits as before,
        visits
    from cohorts
    union all
    select
        cohort_month,
        channel_id,
        3 as step_number,
        'activation' as step,
        activations as users,
        signups as before,
        visits
    from cohorts
    union all
    select
        cohort_month,
        channel_id,
        4 as step_number,
        'checkout' as step,
        checkouts as users,
        activations as before,
        visits
    from cohorts
    union all
    select
        cohort_month,
        channel_id,
        5 as step_number,
        'purchase' as step,
        purchases as users,
        checkouts as before,
        visits
    from cohorts
)
select
    cohort_month,
    channel_id,
    cast(step_number as bigint) as step_number,
    step,
    cast(users as bigint) as users,
    cast(users as double) / cast(nullif(before, 0) as double) as step_conversion,
    cast(users as double) / cast(nullif(visits, 0) as double) as overall_conversion
from steps
