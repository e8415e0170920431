# The figures. Each takes what the analysis gave and returns a plot.

PERCENT <- scales::label_percent(accuracy = 1, suffix = " %", style_negative = "minus")
POINTS <- scales::label_number(scale = 100, style_positive = "plus", style_negative = "minus")

plot_levels <- function(trends) {
  rows <- do.call(rbind, lapply(trends, function(t) cbind(t$level, kpi = t$kpi$label)))
  rows$kpi <- factor(rows$kpi, unique(rows$kpi))
  ggplot2::ggplot(rows, ggplot2::aes(kpi_date)) +
    ggplot2::geom_point(ggplot2::aes(y = observed), colour = QUIET, size = 0.5, alpha = 0.5) +
    ggplot2::geom_ribbon(ggplot2::aes(ymin = low, ymax = high), fill = BLUE, alpha = 0.25) +
    ggplot2::geom_line(ggplot2::aes(y = estimate), colour = BLUE, linewidth = 0.8) +
    ggplot2::facet_wrap(~kpi, ncol = 1, scales = "free_y") +
    # A short history has several marks a month.
    ggplot2::scale_x_date(date_labels = if (diff(range(rows$kpi_date)) < 180) "%-d %b %Y" else "%b %Y") +
    ggplot2::scale_y_continuous(labels = scales::label_comma()) +
    ggplot2::labs(
      x = "Day (UTC)", y = NULL,
      subtitle = "Grey: each day. Blue: level without the weekly season, with its 95 % interval."
    )
}

plot_weekdays <- function(trends) {
  rows <- do.call(rbind, lapply(trends, function(t) if (!is.null(t$weekdays)) cbind(t$weekdays, kpi = t$kpi$label)))
  rows$kpi <- factor(rows$kpi, unique(rows$kpi))
  ggplot2::ggplot(rows, ggplot2::aes(weekday, estimate)) +
    ggplot2::geom_hline(yintercept = 0, colour = INK, linewidth = 0.3) +
    ggplot2::geom_pointrange(ggplot2::aes(ymin = low, ymax = high), colour = BLUE, size = 0.35) +
    ggplot2::facet_wrap(~kpi, ncol = 2) +
    ggplot2::scale_y_continuous(labels = PERCENT) +
    ggplot2::labs(x = NULL, y = "Difference from the week's mean", subtitle = "Points with 95 % intervals.")
}

plot_memory <- function(trends) {
  rows <- do.call(rbind, lapply(trends, function(t) {
    found <- stats::acf(deviation_of(t$model) / spread_of(t$model), lag.max = LAGS, plot = FALSE)
    data.frame(lag = found$lag[-1], correlation = found$acf[-1], bound = 1.96 / sqrt(t$days), kpi = t$kpi$label)
  }))
  rows$kpi <- factor(rows$kpi, unique(rows$kpi))
  ggplot2::ggplot(rows, ggplot2::aes(lag, correlation)) +
    ggplot2::geom_ribbon(ggplot2::aes(ymin = -bound, ymax = bound), fill = GRID, alpha = 0.6) +
    ggplot2::geom_hline(yintercept = 0, colour = INK, linewidth = 0.3) +
    ggplot2::geom_segment(ggplot2::aes(xend = lag, yend = 0), colour = BLUE, linewidth = 0.9) +
    ggplot2::facet_wrap(~kpi, ncol = 2) +
    ggplot2::scale_x_continuous(breaks = c(1, 7, 14)) +
    ggplot2::scale_y_continuous(labels = scales::label_number(accuracy = 0.01, style_negative = "minus")) +
    ggplot2::labs(
      x = "Days apart", y = "Correlation of what is left",
      subtitle = "Bars outside the grey band are more than chance gives 19 times in 20."
    )
}

plot_lifts <- function(rows) {
  rows <- rows[!is.na(rows$lift), ]
  ggplot2::ggplot(rows, ggplot2::aes(lift, stats::reorder(experiment_id, lift), colour = outcome, shape = outcome)) +
    ggplot2::geom_vline(xintercept = 0, colour = INK, linewidth = 0.3) +
    ggplot2::geom_pointrange(ggplot2::aes(xmin = lift_low, xmax = lift_high), size = 0.6, linewidth = 0.9) +
    ggplot2::scale_x_continuous(labels = POINTS) +
    ggplot2::scale_colour_manual(values = c(better = BLUE, worse = ORANGE, "no effect shown" = QUIET, "not trusted" = INK)) +
    ggplot2::scale_shape_manual(values = c(better = 16, worse = 17, "no effect shown" = 15, "not trusted" = 4)) +
    ggplot2::labs(x = "Lift of the conversion rate (percentage points)", y = NULL, colour = NULL, shape = NULL,
      subtitle = "Treatment against control with 95 % intervals (Newcombe).")
}

plot_rates <- function(rows) {
  rows <- rows[!is.na(rows$lift), ]
  both <- rbind(
    data.frame(id = rows$experiment_id, group = "control", users = rows$control_users, rate = rows$control_rate),
    data.frame(id = rows$experiment_id, group = "treatment", users = rows$treatment_users, rate = rows$treatment_rate)
  )
  bounds <- t(mapply(wilson, round(both$rate * both$users), both$users))
  both$low <- bounds[, 1]
  both$high <- bounds[, 2]
  both$label <- paste0(percent(both$rate), " of ", number(both$users))
  ggplot2::ggplot(both, ggplot2::aes(rate, stats::reorder(group, -as.integer(factor(group))), colour = group)) +
    ggplot2::geom_pointrange(ggplot2::aes(xmin = low, xmax = high), size = 0.6, linewidth = 0.9) +
    ggplot2::geom_text(ggplot2::aes(label = label), vjust = -1.2, size = 3.3, show.legend = FALSE) +
    ggplot2::facet_wrap(~id, ncol = 1) +
    ggplot2::scale_x_continuous(labels = PERCENT) +
    ggplot2::scale_colour_manual(values = c(control = QUIET, treatment = BLUE), guide = "none") +
    ggplot2::labs(x = "Conversion rate of exposed users", y = NULL, subtitle = "Points with 95 % intervals (Wilson).")
}

plot_power <- function(curves) {
  ggplot2::ggplot(curves, ggplot2::aes(lift, power, colour = experiment_id, linetype = experiment_id)) +
    ggplot2::geom_hline(yintercept = POWER, colour = INK, linewidth = 0.3, linetype = "dotted") +
    ggplot2::geom_line(linewidth = 0.9) +
    ggplot2::scale_colour_manual(values = rep(c(BLUE, ORANGE, GREEN, INK), length.out = length(unique(curves$experiment_id)))) +
    ggplot2::scale_x_continuous(labels = POINTS) +
    ggplot2::scale_y_continuous(labels = PERCENT, limits = c(0, 1)) +
    ggplot2::labs(x = "True lift (percentage points)", y = "Chance to find it", colour = NULL, linetype = NULL,
      subtitle = "With the users there are, before the correction for several tests. Dotted: 80 %.")
}

plot_leaving <- function(churn) {
  rated <- churn$rated_rows
  bin <- cut(rated$mean_satisfaction, c(0.99, 1.5, 2.5, 3.5, 4.5, 5.01), labels = FALSE)
  seen <- data.frame(
    satisfaction = tapply(rated$mean_satisfaction, bin, mean), left = tapply(rated$left, bin, sum), users = tapply(rated$left, bin, length)
  )
  bounds <- t(mapply(wilson, seen$left, seen$users))
  seen <- cbind(seen, rate = seen$left / seen$users, low = bounds[, 1], high = bounds[, 2])
  ggplot2::ggplot(standardised(churn$fit, rated, seq(1, 5, by = 0.1)), ggplot2::aes(satisfaction)) +
    ggplot2::geom_ribbon(ggplot2::aes(ymin = low, ymax = high), fill = BLUE, alpha = 0.25) +
    ggplot2::geom_line(ggplot2::aes(y = estimate), colour = BLUE, linewidth = 0.9) +
    ggplot2::geom_pointrange(data = seen, ggplot2::aes(y = rate, ymin = low, ymax = high), colour = INK, size = 0.4) +
    ggplot2::geom_text(data = seen, ggplot2::aes(y = high, label = number(users)), vjust = -0.7, size = 3.2, colour = INK) +
    ggplot2::scale_y_continuous(labels = PERCENT, limits = c(0, 1)) +
    ggplot2::labs(x = "Mean satisfaction with support (1 to 5)", y = "Share of customers who left",
      subtitle = "Black: as seen, with 95 % intervals and the number of customers. Blue: model, all else as it is.")
}

plot_odds <- function(churn) {
  rows <- grep("^(dissatisfaction|channel)", names(stats::coef(churn$fit)), value = TRUE)
  odds <- do.call(rbind, lapply(rows, function(r) data.frame(term = r, as.data.frame(odds_ratio(churn$fit, r)))))
  most_common <- levels(churn$rated_rows$channel)[1]
  odds$term <- sub("^channel", "", sub("^dissatisfaction$", "one point less satisfied", odds$term))
  odds$term <- ifelse(odds$term == "one point less satisfied", odds$term, paste0(odds$term, "\nagainst ", most_common))
  odds$is_support <- seq_along(rows) == 1
  ggplot2::ggplot(odds, ggplot2::aes(estimate, stats::reorder(term, is_support), colour = is_support)) +
    ggplot2::geom_vline(xintercept = 1, colour = INK, linewidth = 0.3) +
    ggplot2::geom_pointrange(ggplot2::aes(xmin = low, xmax = high), size = 0.5, linewidth = 0.9) +
    ggplot2::scale_x_log10() +
    ggplot2::scale_colour_manual(values = c("TRUE" = BLUE, "FALSE" = QUIET), guide = "none") +
    ggplot2::labs(x = "Odds ratio of having left (logarithmic)", y = NULL, subtitle = "Points with 95 % intervals.")
}

plot_calibration <- function(churn) {
  bins <- churn$calibration$bins
  highest <- max(bins$high, bins$predicted)
  ggplot2::ggplot(bins, ggplot2::aes(predicted, observed)) +
    ggplot2::geom_abline(colour = QUIET, linetype = "dashed") +
    ggplot2::geom_pointrange(ggplot2::aes(ymin = low, ymax = high), colour = BLUE, size = 0.4) +
    ggplot2::scale_x_continuous(labels = PERCENT, limits = c(0, highest)) +
    ggplot2::scale_y_continuous(labels = PERCENT, limits = c(0, highest)) +
    ggplot2::labs(x = "Predicted share who left", y = "Observed share who left",
      subtitle = "Tenths of the customers by prediction, with 95 % intervals. On the dashed line: as predicted.")
}
