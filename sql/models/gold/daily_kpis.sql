-- Key figures of every day, quiet days included.
-- Grain: one row per day from the first event to the last.
with
-- The one pass over the events: everything below reads days of users, not events.
user_days as (
    select
        user_id,
        event_date,
        count(*) as events,
        max(case when event_type = 'signup' then 1 else 0 end) as signed_up,
        max(case when event_type = 'activation' then 1 else 0 end) as activated
    from silver.events
    group by user_id, event_date
),
span as (
    select
        min(event_date) as first_day,
        max(event_date) as last_day
    from user_days
),
digits as (
    select 0 as digit
    union all select 1
    union all select 2
    union all select 3
    union all select 4
    union all select 5
    union all select 6
    union all select 7
    union all select 8
    union all select 9
),
-- Silver admits the years 1900 to 2200, which are fewer than 200,000 days.
days as (
    select
        cast(span.first_day + cast(
            ones.digit + 10 * tens.digit + 100 * hundreds.digit + 1000 * thousands.digit
            + 10000 * ten_thousands.digit + 100000 * hundred_thousands.digit as integer
        ) as date) as kpi_date
    from span
    cross join digits as ones
    cross join digits as tens
    cross join digits as hundreds
    cross join digits as thousands
    cross join digits as ten_thousands
    cross join digits as hundred_thousands
    where
        hundred_thousands.digit < 2
        and ones.digit + 10 * tens.digit + 100 * hundreds.digit + 1000 * thousands.digit
        + 10000 * ten_thousands.digit + 100000 * hundred_thousands.digit
        <= date_diff('day', span.first_day, span.last_day)
),
activity as (
    select
        event_date,
        count(*) as active_users,
        sum(events) as events,
        sum(signed_up) as signups,
        sum(activated) as activations
    from user_days
    group by event_date
),
next_days as (
    select
        event_date,
        lead(event_date) over (partition by user_id order by event_date asc nulls last) as next_date
    from user_days
),
-- A day of activity counts for seven days, or until the user's next one takes over: nobody counts twice on a day.
weekly_changes as (
    select
        event_date as change_date,
        1 as change
    from next_days
    union all
    select
        case
            when date_diff('day', event_date, next_date) < 7 then next_date
            else cast(event_date + cast(7 as integer) as date)
        end as change_date,
        -1 as change
    from next_days
),
weekly_net_changes as (
    select
        change_date,
        sum(change) as change
    from weekly_changes
    group by change_date
),
weekly as (
    select
        days.kpi_date,
        sum(coalesce(weekly_net_changes.change, 0)) over (
            order by days.kpi_date asc nulls last rows between unbounded preceding and current row
        ) as weekly_active_users
    from days
    left join weekly_net_changes on days.kpi_date = weekly_net_changes.change_date
),
new_users as (
    select
        first_seen_date,
        count(*) as new_users
    from silver.users
    group by first_seen_date
),
sessions as (
    select
        session_date,
        count(*) as sessions
    from silver.sessions
    group by session_date
),
first_subscriptions as (
    select
        user_id,
        min(start_date) as start_date
    from silver.subscriptions
    group by user_id
),
new_subscriptions as (
    select
        start_date,
        count(*) as new_subscriptions
    from first_subscriptions
    group by start_date
),
payments as (
    select
        paid_date,
        sum(amount) as collected
    from silver.payments
    where is_successful
    group by paid_date
),
refunds as (
    select
        refunded_date,
        sum(amount) as refunded
    from silver.refunds
    group by refunded_date
),
tickets as (
    select
        opened_date,
        count(*) as tickets_opened
    from silver.support_tickets
    group by opened_date
)
select
    days.kpi_date,
    cast(coalesce(activity.active_users, 0) as bigint) as active_users,
    cast(weekly.weekly_active_users as bigint) as weekly_active_users,
    cast(coalesce(new_users.new_users, 0) as bigint) as new_users,
    cast(coalesce(sessions.sessions, 0) as bigint) as sessions,
    cast(coalesce(activity.events, 0) as bigint) as events,
    cast(coalesce(activity.signups, 0) as bigint) as signups,
    cast(coalesce(activity.activations, 0) as bigint) as activations,
    cast(coalesce(new_subscriptions.new_subscriptions, 0) as bigint) as new_subscriptions,
    cast(coalesce(payments.collected, 0) as decimal(38, 2)) as collected,
    cast(coalesce(refunds.refunded, 0) as decimal(38, 2)) as refunded,
    cast(coalesce(payments.collected, 0) - coalesce(refunds.refunded, 0) as decimal(38, 2)) as net_revenue,
    cast(coalesce(tickets.tickets_opened, 0) as bigint) as tickets_opened,
    cast(coalesce(activity.signups, 0) as double) / cast(nullif(new_users.new_users, 0) as double) as signup_rate
from days
inner join weekly on days.kpi_date = weekly.kpi_date
left join activity on days.kpi_date = activity.event_date
left join new_users on days.kpi_date = new_users.first_seen_date
left join sessions on days.kpi_date = sessions.session_date
left join new_subscriptions on days.kpi_date = new_subscriptions.start_date
left join payments on days.kpi_date = payments.paid_date
left join refunds on days.kpi_date = refunds.refunded_date
left join tickets on days.kpi_date = tickets.opened_date
