# What the report says of support and leaving, in words and rows, each computed from the model.

churn_sentence <- function(churn) {
  if (!churn$enough) {
    return(sprintf(
      "Too few customers to say: %d of %d with a rating left, and both groups need at least %d.", churn$left, churn$rated,
      LEAST_EVENTS_PER_TERM * LEAST_TERMS
    ))
  }
  odds <- churn$odds_ratio
  sprintf(
    "%s: one point less of satisfaction goes with %.2f times the odds of having left (95 %% interval %.2f to %.2f), %s on average (%s). %s",
    first_upper(direction_of(odds)), odds$estimate, odds$low, odds$high, points(churn$marginal$estimate),
    between(churn$marginal$low, churn$marginal$high, points), "This is an association, not yet a cause."
  )
}

first_upper <- function(text) paste0(toupper(substr(text, 1, 1)), substring(text, 2))

churn_rows <- function(churn) {
  two <- function(x) formatC(x, format = "f", digits = 2)
  row <- function(what, x, format) data.frame(
    `One point less of satisfaction` = what, Estimate = format(x$estimate), `95 % interval` = between(x$low, x$high, format), check.names = FALSE
  )
  shares <- standardised(churn$fit, churn$rated_rows, c(2, 4))
  e <- churn$odds_ratio
  rbind(
    row("Odds ratio of having left", e, two),
    row("Marginal effect on the share that left", churn$marginal, points),
    row("Hazard ratio", churn$hazard, two),
    row("Share that would have left if all were at 2", shares[1, ], percent),
    row("Share that would have left if all were at 4", shares[2, ], percent),
    row("Power of time in the hazard (1: steady)", churn$hazard$shape, two),
    row("E-value: risk ratio a hidden cause would need", e_values(e), two)
  )
}

#' E-value of the estimate, and of the end of the interval that is nearer to 1; 1 where the interval holds 1.
e_values <- function(odds) {
  near <- if (odds$low > 1) odds$low else if (odds$high < 1) odds$high else 1
  list(estimate = e_value(odds$estimate), low = e_value(near), high = NA)
}
