-- How likely each customer stays, as a score with its parts.
-- Grain: one row per user who ever subscribed, as of the day of the newest event; no rows before the first event.
with
-- The one pass over the events.
user_days as (
    select
        user_id,
        event_date
    from silver.events
    group by user_id, event_date
),
as_of as (
    select max(event_date) as as_of_date
    from user_days
    having max(event_date) is not null
),
customers as (
    select
        subscriptions.user_id,
        min(subscriptions.start_date) as first_start_date,
        max(case when subscriptions.is_active then 1 else 0 end) as running,
        sum(case when subscriptions.is_active then plans.monthly_price else 0 end) as mrr
    from silver.subscriptions
    inner join silver.plans on subscriptions.plan_id = plans.plan_id
    group by subscriptions.user_id
),
usage_figures as (
    select
        user_days.user_id,
        count(*) as active_days_28
    from user_days
    cross join as_of
    where date_diff('day', user_days.event_date, as_of.as_of_date) < 28
    group by user_days.user_id
),
ticket_figures as (
    select
        tickets.user_id,
        sum(case when date_diff('day', tickets.opened_date, as_of.as_of_date) between 0 and 89 then 1 else 0 end)
            as tickets_90,
        cast(sum(tickets.satisfaction) as double) / cast(nullif(count(tickets.satisfaction), 0) as double)
            as mean_satisfaction
    from silver.support_tickets as tickets
    cross join as_of
    group by tickets.user_id
),
payment_figures as (
    select
        invoices.user_id,
        count(*) as failed_payments_90
    from silver.payments
    inner join silver.invoices on payments.invoice_id = invoices.invoice_id
    cross join as_of
    where
        payments.status = 'failed'
        and date_diff('day', payments.paid_date, as_of.as_of_date) between 0 and 89
    group by invoices.user_id
),
figures as (
    select
        customers.user_id,
        users.name,
        users.country,
        users.channel_id,
        as_of.as_of_date,
        customers.running = 1 as is_active,
        -- Somebody who subscribes after the newest event has been a customer for no day yet.
        cast(greatest(date_diff('day', customers.first_start_date, as_of.as_of_date), 0) as bigint) as tenure_days,
        cast(customers.mrr as decimal(18, 2)) as mrr,
        cast(coalesce(usage_figures.active_days_28, 0) as bigint) as active_days_28,
        cast(coalesce(ticket_figures.tickets_90, 0) as bigint) as tickets_90,
        ticket_figures.mean_satisfaction,
        cast(coalesce(payment_figures.failed_payments_90, 0) as bigint) as failed_payments_90
    from customers
    cross join as_of
    inner join silver.users on customers.user_id = users.user_id
    left join usage_figures on customers.user_id = usage_figures.user_id
    left join ticket_figures on customers.user_id = ticket_figures.user_id
    left join payment_figures on customers.user_id = payment_figures.user_id
),
scores as (
    select
        user_id,
        cast(40 * least(active_days_28, 12) as double) / cast(12 as double) as engagement_score,
        greatest(
            coalesce(cast(30 as double) * (mean_satisfaction - 1) / 4, cast(20 as double))
            - cast(3 * greatest(tickets_90 - 2, 0) as double),
            cast(0 as double)
        ) as support_score,
        cast(20 - 10 * least(failed_payments_90, 2) as double) as billing_score,
        cast(10 * least(tenure_days, 365) as double) / cast(365 as double) as tenure_score
    from figures
),
totals as (
    select
        user_id,
        engagement_score,
        support_score,
        billing_score,
        tenure_score,
        engagement_score + support_score + billing_score + tenure_score as health_score
    from scores
)
select
    figures.user_id,
    figures.name,
    figures.country,
    figures.channel_id,
    figures.as_of_date,
    figures.is_active,
    figures.tenure_days,
    figures.mrr,
    figures.active_days_28,
    figures.tickets_90,
    figures.mean_satisfaction,
    figures.failed_payments_90,
    totals.engagement_score,
    totals.support_score,
    totals.billing_score,
    totals.tenure_score,
    totals.health_score,
    case
        when not figures.is_active then 'churned'
        when totals.health_score < 40 then 'at_risk'
        when totals.health_score < 70 then 'watch'
        else 'healthy'
    end as health_band
from figures
inner join totals on figures.user_id = totals.user_id
