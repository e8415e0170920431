# The whole analysis of one directory of exports, in the order of the page.

analyse <- function(exports) {
  days <- read_export(exports, "daily_kpis", c(
    kpi_date = "date", active_users = "count", new_users = "count", net_revenue = "number", signup_rate = "number?"
  ))
  days <- days[order(days$kpi_date), ]
  days$weekday <- factor(WEEKDAYS[as.integer(format(days$kpi_date, "%u"))], WEEKDAYS)
  customers <- read_export(exports, "customer_health", c(
    country = "text", channel_id = "text", is_active = "flag", tenure_days = "count", mean_satisfaction = "number?"
  ))
  list(
    days = days, trends = lapply(KPIS, function(kpi) trend_of(days, kpi)),
    experiments = analyse_experiments(read_experiments(exports)), churn = analyse_churn(customers)
  )
}

read_experiments <- function(exports) {
  read_export(exports, "experiment_performance", c(
    experiment_id = "text", control_users = "count", treatment_users = "count", control_conversions = "count",
    treatment_conversions = "count", p_value = "number?", sample_ratio_p_value = "number?"
  ))
}
