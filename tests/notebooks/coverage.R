# Rscript coverage.R NOTEBOOKS: how often the notebook's intervals hold the truth and its tests cry wolf, on drawn data whose
# truth is known. Prints one JSON object; tests/notebooks/test_coverage.py says what is good enough.

notebooks <- commandArgs(trailingOnly = TRUE)[1]
for (part in list.files(file.path(notebooks, "R"), full.names = TRUE)) source(part)
set.seed(20261125)
DAYS <- 450 # a year, both windows of the comparison, and some days before them
options(warn = 1)

holds <- function(interval, truth) interval$low <= truth && truth <= interval$high

# Deviations that last: each day keeps a share `memory` of the day before, in all of standard deviation `spread`.
draw_deviations <- function(memory, spread, count) {
  as.numeric(stats::filter(stats::rnorm(count + 100, sd = spread * sqrt(1 - memory^2)), memory, "recursive"))[-(1:100)]
}

# Daily counts with growth, a season of the year, a weekly season, and deviations that last.
level <- function(at) 40 * (1 + 0.6 * at / 365.25) * (1 + 0.22 * cos(2 * pi * (at + 163) / 365.25))
draw_days <- function(memory, spread = 0.10) {
  at <- seq_len(DAYS) - 1
  date <- as.Date("2024-07-01") + at
  weekday <- factor(WEEKDAYS[as.integer(format(date, "%u"))], WEEKDAYS)
  deviation <- draw_deviations(memory, spread, length(at))
  season <- c(1.08, 1.12, 1.10, 1.05, 0.95, 0.62, 0.58)[as.integer(weekday)] / mean(c(1.08, 1.12, 1.10, 1.05, 0.95, 0.62, 0.58))
  data.frame(
    at = at, kpi_date = date, weekday = weekday, new_users = stats::rpois(length(at), level(at) * season * exp(deviation - spread^2 / 2))
  )
}
# Money: what comes in grows from nothing, and its deviations grow with it.
draw_money <- function(memory, spread = 0.15) {
  days <- draw_days(memory)
  deviation <- draw_deviations(memory, spread, nrow(days))
  days$net_revenue <- income(days$at) * (1 + deviation)
  days
}
income <- function(at) 20 + 5 * at
last <- DAYS - WINDOW_DAYS:1
true_change <- function(level, before) sum(level(last)) / sum(level(last - before)) - 1

trend_coverage <- function(name, draw, level, draws) {
  kpi <- Filter(function(k) k$name == name, KPIS)[[1]]
  rowMeans(replicate(draws, {
    days <- daily_values(draw(), kpi)
    model <- fit_level(days, kpi, round(nrow(days) / DAYS_PER_KNOT))
    changes <- function(m, before) change_between(m, last_days(days), last_days(days, before))
    c(
      previous = holds(changes(model, WINDOW_DAYS), true_change(level, WINDOW_DAYS)),
      year = holds(changes(model, YEAR_DAYS), true_change(level, YEAR_DAYS)),
      naive_year = holds(changes(without_memory(model), YEAR_DAYS), true_change(level, YEAR_DAYS))
    )
  }))
}

draw_experiments <- function(lifts, users = 2000, rate = 0.5) {
  n <- stats::rbinom(length(lifts), 2 * users, 0.5)
  data.frame(
    experiment_id = paste0("e", seq_along(lifts)), control_users = n, treatment_users = 2 * users - n,
    control_conversions = stats::rbinom(length(lifts), n, rate), p_value = NA_real_, sample_ratio_p_value = NA_real_,
    treatment_conversions = stats::rbinom(length(lifts), 2 * users - n, rate + lifts)
  )
}

experiment_rates <- function(draws) {
  none <- replicate(draws, any(analyse_experiments(draw_experiments(rep(0, 4)))$outcome %in% c("better", "worse")))
  at_detectable <- detectable_lift(0.5, c(2000, 2000))
  one <- analyse_each(draw_experiments(rep(at_detectable, draws)))
  small <- analyse_each(draw_experiments(rep(0.05, draws), users = 60, rate = 0.1))
  list(
    family_false_finds = mean(none), power_at_detectable = mean(one$p_value < ALPHA), coverage = mean(one$lift_low <= at_detectable & at_detectable <= one$lift_high),
    coverage_few_users = mean(small$lift_low <= 0.05 & 0.05 <= small$lift_high), false_mismatches = mean(one$mismatch)
  )
}
analyse_each <- function(rows) do.call(rbind, lapply(seq_len(nrow(rows)), function(i) analyse_one(rows[i, ])))

draw_customers <- function(effect, count = 1500) {
  satisfaction <- sample(1:5, count, TRUE)
  tenure <- sample(30:700, count, TRUE)
  channel <- sample(c("a", "b", "c"), count, TRUE)
  hazard <- 0.0009 * exp(effect * (3 - satisfaction) + 0.3 * (channel == "b"))
  data.frame(
    country = "DE", channel_id = channel, is_active = stats::runif(count) < exp(-hazard * tenure), tenure_days = tenure, mean_satisfaction = satisfaction
  )
}

churn_rates <- function(draws) {
  without <- replicate(draws, holds(analyse_churn(draw_customers(0))$odds_ratio, 1))
  with <- replicate(draws, {
    found <- analyse_churn(draw_customers(0.4))
    c(hazard = holds(found$hazard, exp(0.4)), found = found$odds_ratio$low > 1)
  })
  list(no_effect_held = mean(without), hazard_held = mean(with["hazard", ]), effect_found = mean(with["found", ]))
}

cat(jsonlite::toJSON(list(
  counts = as.list(trend_coverage("new_users", function() draw_days(0), level, 100)),
  counts_lasting = as.list(trend_coverage("new_users", function() draw_days(0.6), level, 100)),
  money_lasting = as.list(trend_coverage("net_revenue", function() draw_money(0.4), income, 100)),
  experiments = experiment_rates(500), churn = churn_rates(60)
), auto_unbox = TRUE, digits = 4))
