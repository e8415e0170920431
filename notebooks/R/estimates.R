# The main estimates as data, for programs: the same numbers that the page shows.

ESTIMATES_VERSION <- 1

#' @return A list that becomes `r_kpi_analysis.json`; what could not be computed is null.
estimates_of <- function(found) {
  list(
    format_version = ESTIMATES_VERSION,
    first_date = format(min(found$days$kpi_date)), as_of_date = format(max(found$days$kpi_date)), coverage = 0.95,
    trends = lapply(found$trends, trend_as_data),
    experiments = lapply(seq_len(nrow(found$experiments)), function(i) experiment_as_data(found$experiments[i, ])),
    churn = churn_as_data(found$churn)
  )
}

trend_as_data <- function(t) {
  list(
    kpi = t$kpi$name, days = t$days, window_days = WINDOW_DAYS, level = t$now, change_to_previous = t$change,
    change_to_year_before = t$change_year, memory_days = t$model$memory$order
  )
}

experiment_as_data <- function(e) {
  kept <- c(
    "experiment_id", "control_users", "treatment_users", "control_rate", "treatment_rate", "lift", "lift_low", "lift_high",
    "test", "p_value", "p_adjusted", "split_exposed_p", "split_assigned_p", "detectable_lift", "outcome"
  )
  c(as.list(e[kept]), list(verdict = verdict_of(e)))
}

churn_as_data <- function(churn) {
  facts <- churn[c("customers", "rated", "left", "events")]
  if (!churn$enough) return(c(facts, list(outcome = "too few")))
  c(facts, list(
    outcome = direction_of(churn$odds_ratio), adjusted_for = adjusted_for(churn),
    odds_ratio_per_point_less = churn$odds_ratio, marginal_effect_per_point_less = churn$marginal,
    hazard_ratio_per_point_less = churn$hazard[c("estimate", "low", "high")], e_value = e_value(churn$odds_ratio$estimate),
    hosmer_lemeshow_p = churn$calibration$p
  ))
}

write_estimates <- function(estimates, file) {
  jsonlite::write_json(estimates, file, auto_unbox = TRUE, digits = NA, na = "null", null = "null", pretty = TRUE)
}
