# Experiments: is the split what it should be, do the rates differ, by how much, and what could have been seen at all.

ALPHA <- 0.05
POWER <- 0.80
# Fabijan et al., Diagnosing Sample Ratio Mismatch in Online Controlled Experiments, KDD 2019.
MISMATCH_BELOW <- 0.001
# Cochran's rule for the chi-square approximation of a two by two table.
LEAST_EXPECTED <- 5

#' One row per experiment: lift with interval, p-values before and after Holm's correction, split, power, verdict.
analyse_experiments <- function(experiments) {
  rows <- do.call(rbind, lapply(seq_len(nrow(experiments)), function(i) analyse_one(experiments[i, ])))
  # Holm, A Simple Sequentially Rejective Multiple Test Procedure, 1979: the chance of one false find in all stays below ALPHA.
  rows$p_adjusted <- stats::p.adjust(rows$p_value, method = "holm")
  rows$outcome <- mapply(outcome_of, rows$mismatch, rows$p_adjusted, rows$lift)
  rows
}

analyse_one <- function(e) {
  users <- c(e$control_users, e$treatment_users)
  converted <- c(e$control_conversions, e$treatment_conversions)
  if (any(converted > users)) {
    input_error("experiment_performance.csv: ", e$experiment_id, " has more conversions than users")
  }
  if (any(users == 0)) return(without_data(e))
  rate <- converted / users
  lift <- newcombe(converted, users)
  split <- stats::binom.test(users[2], sum(users), 0.5)$p.value
  test <- equal_rates(converted, users)
  data.frame(
    experiment_id = e$experiment_id, control_users = users[1], treatment_users = users[2],
    control_rate = rate[1], treatment_rate = rate[2], lift = lift$estimate, lift_low = lift$low, lift_high = lift$high,
    test = test$name, least_expected = test$least_expected, p_value = test$p,
    split_exposed_p = split, split_assigned_p = e$sample_ratio_p_value,
    mismatch = split < MISMATCH_BELOW || isTRUE(e$sample_ratio_p_value < MISMATCH_BELOW),
    detectable_lift = detectable_lift(rate[1], users), mart_p_value = e$p_value
  )
}

without_data <- function(e) {
  data.frame(
    experiment_id = e$experiment_id, control_users = e$control_users, treatment_users = e$treatment_users,
    control_rate = NA, treatment_rate = NA, lift = NA, lift_low = NA, lift_high = NA, test = "none",
    least_expected = 0, p_value = NA, split_exposed_p = NA, split_assigned_p = e$sample_ratio_p_value,
    mismatch = isTRUE(e$sample_ratio_p_value < MISMATCH_BELOW), detectable_lift = NA, mart_p_value = e$p_value
  )
}

#' Difference of two independent proportions with its 95 % interval, from Wilson's intervals of each.
#' Newcombe, Interval Estimation for the Difference Between Independent Proportions, 1998, method 10.
newcombe <- function(converted, users) {
  rate <- converted / users
  wilson <- lapply(1:2, function(i) wilson(converted[i], users[i]))
  difference <- rate[2] - rate[1]
  low <- difference - sqrt((rate[2] - wilson[[2]][1])^2 + (wilson[[1]][2] - rate[1])^2)
  high <- difference + sqrt((wilson[[2]][2] - rate[2])^2 + (rate[1] - wilson[[1]][1])^2)
  list(estimate = difference, low = low, high = high)
}

wilson <- function(converted, users) {
  as.numeric(suppressWarnings(stats::prop.test(converted, users, correct = FALSE))$conf.int)
}

#' Pearson's test of two proportions, or Fisher's exact one where the approximation would not hold.
equal_rates <- function(converted, users) {
  pooled <- sum(converted) / sum(users)
  least <- min(outer(users, c(pooled, 1 - pooled)))
  if (least >= LEAST_EXPECTED) {
    p <- stats::prop.test(converted, users, correct = FALSE)$p.value
    return(list(name = "two proportions", p = p, least_expected = least))
  }
  p <- stats::fisher.test(rbind(converted, users - converted))$p.value
  list(name = "Fisher's exact", p = p, least_expected = least)
}

#' Smallest true lift (as a difference of rates) that these numbers of users find with POWER; NA where there is none.
detectable_lift <- function(control_rate, users) {
  if (control_rate <= 0 || control_rate >= 1) return(NA_real_)
  per_group <- 2 / sum(1 / users) # the equal groups that give the same standard error
  tryCatch(
    stats::power.prop.test(n = per_group, p1 = control_rate, sig.level = ALPHA, power = POWER)$p2 - control_rate,
    error = function(e) NA_real_
  )
}

outcome_of <- function(mismatch, p_adjusted, lift) {
  if (mismatch) return("not trusted")
  if (is.na(p_adjusted)) return("no data")
  if (p_adjusted >= ALPHA) return("no effect shown")
  if (lift > 0) "better" else "worse"
}

#' The verdict as a sentence for people.
verdict_of <- function(e) {
  reach <- between(e$lift_low, e$lift_high, points)
  switch(e$outcome,
    "not trusted" = sprintf(
      "The split is not one to one (p %s exposed, %s assigned): something decides who is counted. The lift means nothing until that is found.",
      p_value(e$split_exposed_p), p_value(e$split_assigned_p)
    ),
    "no data" = "One of the groups has no users yet.",
    "no effect shown" = sprintf(
      "No effect shown. With 95 %% confidence the lift lies within %s; %s", reach,
      if (is.na(e$detectable_lift)) "what could have been found cannot be computed." else sprintf(
        "a lift of %s or more would have been found four times in five.", points(e$detectable_lift)
      )
    ),
    sprintf(
      "Treatment is %s: %s (95 %% interval %s). People were assigned by chance, so this is its effect.",
      e$outcome, points(e$lift), reach
    )
  )
}

experiment_checks <- function(rows) {
  do.call(rbind, lapply(seq_len(nrow(rows)), function(i) {
    e <- rows[i, ]
    comparable <- !is.na(e$mart_p_value) && e$test == "two proportions"
    agrees <- !comparable || abs(e$mart_p_value - e$p_value) < 1e-5
    cbind(Experiment = e$experiment_id, rbind(
      check(
        "Users are split one to one", sprintf(
          "p %s among exposed, %s among assigned users; alarm below %s", p_value(e$split_exposed_p),
          p_value(e$split_assigned_p), format(MISMATCH_BELOW)
        ),
        if (e$mismatch) "Sample ratio mismatch: the result is not trusted." else "No mismatch seen.", !e$mismatch
      ),
      check(
        "Enough people for the approximation",
        sprintf("smallest expected count %s, at least %d wanted", number(e$least_expected), LEAST_EXPECTED),
        if (e$least_expected >= LEAST_EXPECTED) "The test of two proportions holds." else "Too few: Fisher's exact test was used.",
        e$least_expected >= LEAST_EXPECTED
      ),
      check(
        "The lake says the same", sprintf("p %s there, %s here", p_value(e$mart_p_value), p_value(e$p_value)),
        if (!comparable) "There is nothing to compare." else if (agrees) "It does." else "It does not: the export was changed, or made by other rules.", agrees
      )
    ))
  }))
}

#' Chance to find a true lift, over lifts on both sides of nothing.
power_curve <- function(rows, lifts = seq(-0.1, 0.1, by = 0.0025)) {
  usable <- rows[!is.na(rows$detectable_lift), ]
  do.call(rbind, lapply(seq_len(nrow(usable)), function(i) {
    e <- usable[i, ]
    p2 <- e$control_rate + lifts
    inside <- p2 > 0 & p2 < 1
    per_group <- 2 / (1 / e$control_users + 1 / e$treatment_users)
    power <- vapply(p2[inside], function(p) {
      stats::power.prop.test(n = per_group, p1 = e$control_rate, p2 = p, sig.level = ALPHA, strict = TRUE)$power
    }, numeric(1))
    data.frame(experiment_id = e$experiment_id, lift = lifts[inside], power = power)
  }))
}
