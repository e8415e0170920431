# Trends of daily key figures. The level and the weekly season come from a regression; how long a deviation lasts from an
# autoregression of what is left; every interval counts with both. Zeger, A Regression Model for Time Series of Counts,
# Biometrika 75 (1988), with an autoregression in place of his latent process.

WEEKDAYS <- c("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
WINDOW_DAYS <- 28 # whole weeks, so that both sides of a comparison hold every weekday equally often
YEAR_DAYS <- 364 # the same weekdays a year earlier
DAYS_PER_KNOT <- 91 # a level that bends at most once a quarter
SPREAD_DAYS <- 182 # days spread more as figures grow; half a year tells how much
LEAST_DAYS <- 2 * WINDOW_DAYS
# Of Ljung and Box, On a Measure of Lack of Fit in Time Series Models, 1978: two weeks.
LAGS <- 14

KPIS <- list(
  list(name = "active_users", label = "Active users (people per day)", family = stats::quasipoisson()),
  list(name = "new_users", label = "New users (people per day)", family = stats::quasipoisson()),
  # Refunds can exceed what comes in on a day: no logarithm.
  list(name = "net_revenue", label = "Net revenue (money per day)", family = stats::gaussian()),
  list(name = "signup_rate", label = "Sign-up rate (share of new users)", family = stats::quasibinomial())
)

#' Everything the report says of one key figure; `enough` is FALSE where the history is too short to say anything.
trend_of <- function(days, kpi) {
  days <- daily_values(days, kpi)
  if (nrow(days) < LEAST_DAYS) return(list(kpi = kpi, enough = FALSE, days = nrow(days)))
  model <- fit_level(days, kpi, knots = max(1, round(nrow(days) / DAYS_PER_KNOT)))
  list(
    kpi = kpi, enough = TRUE, days = nrow(days), model = model, level = daily_level(model, days),
    now = window_mean(model, last_days(days)),
    change = change_between(model, last_days(days), last_days(days, WINDOW_DAYS)),
    change_year = change_between(model, last_days(days), last_days(days, YEAR_DAYS)),
    weekdays = weekday_pattern(model, days),
    checks = trend_checks(model, days, kpi)
  )
}

#' Days that have a value, with the weight of each: a rate of many people says more than one of few.
daily_values <- function(days, kpi) {
  days$value <- days[[kpi$name]]
  days$weight <- if (kpi$name == "signup_rate") days$new_users else 1
  days <- days[!is.na(days$value) & days$weight > 0, ]
  days$at <- as.numeric(days$kpi_date - min(days$kpi_date))
  days
}

#' The fitted level, the covariance of the days' deviations from it, and that of its coefficients.
fit_level <- function(days, kpi, knots) {
  design <- splines::ns(days$at, df = knots)
  fit <- stats::glm(value ~ design + weekday, data = days, family = kpi$family, weights = weight)
  model <- list(fit = fit, knots = knots, design = design, days = days)
  with_memory(model, memory_of(model))
}

#' Correlation of two days' deviations by their distance, and how many days back it reaches directly. A memory that would make
#' intervals of four weeks narrower is not believed: in short histories it is mostly chance.
memory_of <- function(model) {
  at <- model$days$at
  residual <- rep(NA_real_, max(at) + 1)
  residual[at + 1] <- deviation_of(model) / spread_of(model)
  found <- stats::ar(residual, order.max = LAGS, na.action = stats::na.pass)
  if (found$order == 0) return(no_memory(at))
  correlation <- as.numeric(stats::ARMAacf(found$ar, lag.max = max(at)))
  if (sum(stats::toeplitz(correlation[1:WINDOW_DAYS])) <= WINDOW_DAYS) return(no_memory(at))
  list(order = found$order, correlation = correlation)
}

deviation_of <- function(model) model$days$value - stats::fitted(model$fit)

#' Standard deviation of each day around the level: that of its distribution, times how far the days around it really spread.
spread_of <- function(model) {
  at <- model$days$at
  unit <- sqrt(model$fit$family$variance(stats::fitted(model$fit)) / model$days$weight)
  squares <- (deviation_of(model) / unit)^2 * nrow(model$days) / model$fit$df.residual
  unit * sqrt(stats::ksmooth(at, squares, "normal", bandwidth = SPREAD_DAYS, x.points = at)$y)
}

#' The same model under another memory. All links here are canonical, so that the score of a day is its deviation times its row.
with_memory <- function(model, memory) {
  spread <- spread_of(model)
  distance <- abs(outer(model$days$at, model$days$at, `-`))
  model$memory <- memory
  model$deviations <- outer(spread, spread) * matrix(memory$correlation[distance + 1], nrow(distance))
  rows <- model$days$weight * stats::model.matrix(model$fit)
  bread <- summary(model$fit)$cov.unscaled
  model$covariance <- bread %*% (t(rows) %*% model$deviations %*% rows) %*% bread
  model
}

no_memory <- function(at) list(order = 0, correlation = c(1, rep(0, max(at))))

without_memory <- function(model) with_memory(model, no_memory(model$days$at))

#' Model matrix of days given by their position and weekday.
rows_at <- function(model, at, weekday) {
  cbind(1, stats::predict(model$design, at), stats::contr.treatment(7)[as.integer(weekday), , drop = FALSE])
}

#' Expected value at each row, and its gradient by the coefficients.
expected <- function(model, rows) {
  linear <- drop(rows %*% stats::coef(model$fit))
  list(value = model$fit$family$linkinv(linear), gradient = model$fit$family$mu.eta(linear) * rows)
}

#' Numbers of the rows of the last four weeks, or of the four that ended `before` days earlier; NULL where the history does
#' not reach back.
last_days <- function(days, before = 0) {
  end <- max(days$at) - before
  if (end - WINDOW_DAYS + 1 < 0) return(NULL)
  found <- which(days$at > end - WINDOW_DAYS & days$at <= end)
  if (length(found) == 0) NULL else found
}

#' Mean of a window as it was seen, with what chance and memory could have made of it.
window_mean <- function(model, window) {
  share <- window_share(model, window)
  interval(sum(share * model$days$value), sqrt(drop(share %*% model$deviations %*% share)))
}

window_share <- function(model, window) {
  share <- rep(0, nrow(model$days))
  share[window] <- model$days$weight[window] / sum(model$days$weight[window])
  share
}

#' Relative change of the mean from an earlier window to a later one: delta method on the log of the ratio.
#' Nothing is assumed of the level inside the windows; the curve only says what a deviation is.
change_between <- function(model, later, earlier) {
  if (is.null(earlier)) return(NULL)
  shares <- list(window_share(model, later), window_share(model, earlier))
  means <- vapply(shares, function(share) sum(share * model$days$value), numeric(1))
  # A share of nothing, or of a loss, means nothing.
  if (any(means <= 0)) return(NULL)
  gradient <- shares[[1]] / means[1] - shares[[2]] / means[2]
  as_change(log(means[1] / means[2]), sqrt(drop(gradient %*% model$deviations %*% gradient)))
}

as_change <- function(log_ratio, error) lapply(interval(log_ratio, error), function(x) exp(x) - 1)

interval <- function(estimate, error) {
  reach <- stats::qnorm(0.975) * error
  list(estimate = estimate, low = estimate - reach, high = estimate + reach)
}

#' The level of every day with the weekly season averaged out.
daily_level <- function(model, days) {
  week <- lapply(seq_along(WEEKDAYS), function(d) expected(model, rows_at(model, days$at, rep(d, nrow(days)))))
  value <- Reduce(`+`, lapply(week, `[[`, "value")) / 7
  gradient <- Reduce(`+`, lapply(week, `[[`, "gradient")) / 7
  error <- sqrt(rowSums((gradient %*% model$covariance) * gradient))
  data.frame(kpi_date = days$kpi_date, observed = days$value, as.data.frame(interval(value, error)))
}

#' Each weekday against the mean of the week, at the level of the last four weeks.
weekday_pattern <- function(model, days) {
  at <- days$at[last_days(days)]
  week <- lapply(seq_along(WEEKDAYS), function(d) expected(model, rows_at(model, at, rep(d, length(at)))))
  values <- vapply(week, function(day) mean(day$value), numeric(1))
  if (any(values <= 0)) return(NULL)
  gradients <- lapply(week, function(day) colMeans(day$gradient))
  mean_gradient <- Reduce(`+`, gradients) / 7
  rows <- lapply(seq_along(WEEKDAYS), function(d) {
    gradient <- gradients[[d]] / values[d] - mean_gradient / mean(values)
    change <- as_change(log(values[d] / mean(values)), sqrt(drop(gradient %*% model$covariance %*% gradient)))
    data.frame(weekday = factor(WEEKDAYS[d], WEEKDAYS), as.data.frame(change))
  })
  do.call(rbind, rows)
}

trend_checks <- function(model, days, kpi) rbind(check_memory(model, days), check_curve(model, days, kpi))

check_memory <- function(model, days) {
  residual <- deviation_of(model) / spread_of(model)
  p <- stats::Box.test(residual, lag = LAGS, type = "Ljung-Box")$p.value
  first <- stats::acf(residual, lag.max = 1, plot = FALSE)$acf[2]
  wider <- width(window_mean(model, last_days(days))) / width(window_mean(without_memory(model), last_days(days)))
  check(
    "Days do not depend on each other beyond level and weekday",
    sprintf("Ljung-Box p %s over %d lags, lag 1 correlation %.2f", p_value(p), LAGS, first),
    if (model$memory$order == 0) {
      if (p < 0.05) "They do, but in no way that widens the intervals." else "Nothing seen."
    } else {
      sprintf(
        "%s The intervals count with a memory of %d days and are %.2f times as wide as without it.",
        if (p < 0.05) "They do." else "Hardly.", model$memory$order, wider
      )
    },
    p >= 0.05
  )
}

check_curve <- function(model, days, kpi) {
  end <- nrow(days)
  finer <- fit_level(days, kpi, 2 * model$knots)
  error <- width(as.list(daily_level(finer, days)[end, c("low", "high")])) / (2 * stats::qnorm(0.975))
  moved <- abs(daily_level(finer, days)$estimate[end] - daily_level(model, days)$estimate[end]) / error
  check(
    "The level is smooth enough for the curve", sprintf("twice as many bends move its end by %.1f standard errors", moved),
    if (moved > 2) "They do change the curve: read its end with care." else "More bends do not change the curve.", moved <= 2
  )
}

width <- function(x) x$high - x$low
