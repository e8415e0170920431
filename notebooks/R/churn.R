# Support experience and leaving: a logistic regression over customers who rated at least one answer, with its assumptions.

LEAST_EVENTS_PER_TERM <- 10 # Peduzzi et al., A Simulation Study of the Number of Events per Variable, 1996
BINS <- 10
# Fox and Monette, Generalized Collinearity Diagnostics, 1992: comparable to a VIF of 5.
HIGHEST_INFLATION <- sqrt(5)
INFLUENTIAL_SHARE <- 0.01
TENURE_TERM <- "splines::ns(log1p(tenure_days), 3)"
CONTROLS <- c("channel", "country")
LEAST_TERMS <- 4 # satisfaction, and three of the curve of tenure

#' The fitted model with everything the report says of it; `enough` is FALSE where too few left or stayed.
analyse_churn <- function(customers) {
  customers$left <- !customers$is_active
  rated <- customers[!is.na(customers$mean_satisfaction), ]
  rated$dissatisfaction <- 5 - rated$mean_satisfaction
  rated$channel <- common_first(rated$channel_id)
  rated$country <- common_first(rated$country)
  events <- min(sum(rated$left), sum(!rated$left))
  terms <- affordable_terms(rated, events)
  facts <- list(customers = nrow(customers), rated = nrow(rated), left = sum(rated$left), events = events)
  if (is.null(terms)) return(c(facts, list(enough = FALSE)))
  fit <- stats::glm(stats::reformulate(terms, "left"), data = rated, family = stats::binomial())
  c(facts, list(
    enough = TRUE, terms = terms, fit = fit, rated_rows = rated, odds_ratio = odds_ratio(fit),
    marginal = marginal_effect(fit), hazard = hazard_ratio(rated), calibration = calibration(fit),
    checks = churn_checks(fit, rated, customers, events)
  ))
}

#' Levels by size, so that effects are told against the most common one.
common_first <- function(values) factor(values, names(sort(table(values), decreasing = TRUE)))

#' Satisfaction and tenure always; channel and country as far as events allow. NULL where not even the first two.
affordable_terms <- function(rated, events) {
  terms <- c("dissatisfaction", TENURE_TERM)
  spent <- LEAST_TERMS
  if (events < LEAST_EVENTS_PER_TERM * spent || length(unique(rated$dissatisfaction)) < 3) return(NULL)
  for (term in CONTROLS) {
    cost <- nlevels(rated[[term]]) - 1
    if (cost > 0 && events >= LEAST_EVENTS_PER_TERM * (spent + cost)) {
      terms <- c(terms, term)
      spent <- spent + cost
    }
  }
  terms
}

adjusted_for <- function(churn) {
  words <- c("time since the first subscription", "first channel", "country")
  paste(words[c(TRUE, CONTROLS %in% churn$terms)], collapse = ", ")
}

odds_ratio <- function(fit, term = "dissatisfaction") {
  error <- sqrt(stats::vcov(fit)[term, term])
  lapply(interval(stats::coef(fit)[[term]], error), exp)
}

direction_of <- function(odds) {
  if (odds$low > 1) return("less satisfied customers leave more")
  if (odds$high < 1) return("less satisfied customers leave less")
  "no association shown"
}

#' Mean change of the probability to leave per point of satisfaction less: average marginal effect, delta method.
marginal_effect <- function(fit) {
  x <- stats::model.matrix(fit)
  slope <- stats::coef(fit)[["dissatisfaction"]]
  p <- stats::fitted(fit)
  gradient <- colMeans(slope * (1 - 2 * p) * p * (1 - p) * x)
  gradient["dissatisfaction"] <- gradient["dissatisfaction"] + mean(p * (1 - p))
  interval(slope * mean(p * (1 - p)), sqrt(drop(gradient %*% stats::vcov(fit) %*% gradient)))
}

#' Share that would leave if everybody had this satisfaction and kept all else: standardisation, delta method on the logit.
standardised <- function(fit, rated, satisfaction) {
  do.call(rbind, lapply(satisfaction, function(s) {
    rated$dissatisfaction <- 5 - s
    x <- stats::model.matrix(stats::delete.response(stats::terms(fit)), rated, xlev = fit$xlevels)
    p <- stats::plogis(drop(x %*% stats::coef(fit)))
    gradient <- colMeans(p * (1 - p) * x) / (mean(p) * (1 - mean(p)))
    error <- sqrt(drop(gradient %*% stats::vcov(fit) %*% gradient))
    data.frame(satisfaction = s, lapply(interval(stats::qlogis(mean(p)), error), stats::plogis))
  }))
}

#' Ratio of the rates of leaving per point of satisfaction less, and how the rate moves with time.
#' Whether a customer left by now, time since the start known, is current-status data: with the complementary log-log link
#' the coefficient is a log hazard ratio, and that of log time is 1 where the rate is steady.
#' Jewell and van der Laan, Current Status Data, Handbook of Statistics 23 (2004).
hazard_ratio <- function(rated) {
  seen <- rated[rated$tenure_days > 0, ]
  fit <- stats::glm(left ~ dissatisfaction + log(tenure_days), data = seen, family = stats::binomial("cloglog"))
  shape <- interval(stats::coef(fit)[["log(tenure_days)"]], sqrt(stats::vcov(fit)["log(tenure_days)", "log(tenure_days)"]))
  c(odds_ratio(fit), list(shape = shape))
}

#' Predicted against observed shares in tenths of the predictions, with Hosmer and Lemeshow's test (1980).
calibration <- function(fit) {
  p <- stats::fitted(fit)
  bin <- cut(rank(p, ties.method = "first"), BINS, labels = FALSE)
  bins <- data.frame(users = tapply(fit$y, bin, length), left = tapply(fit$y, bin, sum), predicted = tapply(p, bin, mean))
  bins$observed <- bins$left / bins$users
  bounds <- t(mapply(wilson, bins$left, bins$users))
  statistic <- sum((bins$left - bins$users * bins$predicted)^2 / (bins$users * bins$predicted * (1 - bins$predicted)))
  list(
    bins = cbind(bins, low = bounds[, 1], high = bounds[, 2]), statistic = statistic,
    p = stats::pchisq(statistic, BINS - 2, lower.tail = FALSE)
  )
}

#' Generalised variance inflation of each term, to the power 1 / (2 df): Fox and Monette, 1992.
inflation <- function(fit) {
  covariance <- stats::vcov(fit)[-1, -1, drop = FALSE]
  correlation <- stats::cov2cor(covariance)
  term <- attr(stats::model.matrix(fit), "assign")[-1]
  whole <- det(correlation)
  sapply(stats::setNames(unique(term), attr(stats::terms(fit), "term.labels")), function(t) {
    own <- term == t
    gvif <- det(correlation[own, own, drop = FALSE]) * det(correlation[!own, !own, drop = FALSE]) / whole
    gvif^(1 / (2 * sum(own)))
  })
}

#' How strong a hidden cause of both would have to be: VanderWeele and Ding, Sensitivity Analysis in Observational Research,
#' 2017; leaving is not rare, so the risk ratio is taken as the root of the odds ratio.
e_value <- function(odds) {
  ratio <- sqrt(max(odds, 1 / odds))
  ratio + sqrt(ratio * (ratio - 1))
}

churn_checks <- function(fit, rated, customers, events) {
  rbind(
    check_events(fit, events), check_linear(fit), check_inflation(fit), check_calibration(fit),
    check_influence(fit, rated), check_unrated(customers)
  )
}

check_events <- function(fit, events) {
  left_out <- setdiff(CONTROLS, attr(stats::terms(fit), "term.labels"))
  per_term <- events / (length(stats::coef(fit)) - 1)
  check(
    "Enough events for the terms", sprintf("%.0f events a term, %d wanted", per_term, LEAST_EVENTS_PER_TERM),
    if (length(left_out) == 0) "Enough for every term." else paste0("Too few to adjust for ", paste(left_out, collapse = " and "), " too."),
    per_term >= LEAST_EVENTS_PER_TERM
  )
}

check_linear <- function(fit) {
  curve <- stats::update(stats::formula(fit), . ~ . - dissatisfaction + splines::ns(dissatisfaction, 3))
  bent <- stats::glm(curve, data = fit$data, family = stats::binomial())
  p <- stats::anova(fit, bent, test = "LRT")[["Pr(>Chi)"]][2]
  check(
    "Each point of satisfaction counts the same (linear logit)", sprintf("likelihood ratio against a curve, p %s", p_value(p)),
    if (p < ALPHA) "A curve fits better: one ratio per point is a simplification." else "A curve fits no better than a line.",
    p >= ALPHA
  )
}

check_inflation <- function(fit) {
  worst <- max(inflation(fit))
  check(
    "Terms can be told apart (variance inflation)", sprintf("largest %.2f, below %.2f wanted", worst, HIGHEST_INFLATION),
    if (worst >= HIGHEST_INFLATION) "Some terms say much the same: their intervals are wide." else "No term repeats the others.",
    worst < HIGHEST_INFLATION
  )
}

check_calibration <- function(fit) {
  found <- calibration(fit)
  off <- max(abs(found$bins$observed - found$bins$predicted))
  check(
    "Predicted shares are what happens (calibration)",
    sprintf("Hosmer-Lemeshow p %s; largest gap of a tenth %s", p_value(found$p), points(off)),
    if (found$p < ALPHA) "They differ by more than chance: read shares with care." else "No more gap than chance gives.",
    found$p >= ALPHA
  )
}

#' Leave out the customers who speak most for the result. Broderick, Giordano and Meager, An Automatic Finite-Sample Robustness
#' Metric, 2020: what one in a hundred can overturn is not much of a finding.
check_influence <- function(fit, rated) {
  found <- odds_ratio(fit)
  pull <- stats::dfbeta(fit)[, "dissatisfaction"] * sign(log(found$estimate))
  few <- order(pull, decreasing = TRUE)[seq_len(ceiling(INFLUENTIAL_SHARE * nrow(rated)))]
  # Those few may hold all of a rare level; a fit that then fails to settle still answers how far the odds move.
  without <- suppressWarnings(stats::glm(stats::formula(fit), data = rated[-few, ], family = stats::binomial()))
  rest <- odds_ratio(without)
  stands <- direction_of(rest) == direction_of(found)
  check(
    "No few customers make the result",
    sprintf("without the %d that speak most for it the odds ratio is %.2f (%.2f to %.2f)", length(few), rest$estimate, rest$low, rest$high),
    if (stands) "The result stands without them." else "The result hangs on them.", stands
  )
}

check_unrated <- function(customers) {
  rated <- !is.na(customers$mean_satisfaction)
  left <- c(sum(customers$left[rated]), sum(customers$left[!rated]))
  count <- c(sum(rated), sum(!rated))
  if (count[2] == 0) return(check("Customers without a rating are like the others", "there are none", "Nobody is left out.", TRUE))
  gap <- newcombe(left, count)
  differs <- gap$low > 0 || gap$high < 0
  check(
    "Customers without a rating are like the others",
    sprintf(
      "%s of %s left; against those with one %s (%s)", percent(left[2] / count[2]), number(count[2]), points(gap$estimate),
      between(gap$low, gap$high, points)
    ),
    if (differs) "They are not: the result speaks of customers who rated." else "No difference in leaving is seen.", !differs
  )
}
