# How everything looks: one theme, colours that stay apart for every kind of colour vision, numbers as people write them.

# Source of the colours: Okabe and Ito, Color Universal Design, 2008.
INK <- "#333333"
QUIET <- "#8c8c8c"
GRID <- "#dddddd"
BLUE <- "#0072B2"
ORANGE <- "#D55E00"
GREEN <- "#009E73"

use_look <- function() {
  ggplot2::theme_set(
    ggplot2::theme_minimal(base_size = 11) + ggplot2::theme(
      text = ggplot2::element_text(colour = INK),
      axis.text = ggplot2::element_text(colour = INK),
      strip.text = ggplot2::element_text(colour = INK, hjust = 0, face = "bold"),
      panel.grid.minor = ggplot2::element_blank(),
      panel.grid.major = ggplot2::element_line(colour = GRID, linewidth = 0.3),
      panel.spacing = ggplot2::unit(1.1, "lines"),
      plot.title.position = "plot",
      plot.subtitle = ggplot2::element_text(colour = INK, margin = ggplot2::margin(b = 8)),
      plot.caption = ggplot2::element_text(colour = QUIET, hjust = 0),
      legend.position = "top",
      legend.justification = "left"
    )
  )
}

number <- function(x, digits = 0) ifelse(is.na(x), "–", formatC(x, format = "f", digits = digits, big.mark = ","))

percent <- function(x, digits = 1) ifelse(is.na(x), "–", paste0(formatC(100 * x, format = "f", digits = digits), "\u00a0%"))

# A change keeps its sign; the minus is the typographic one, as wide as the plus.
signed <- function(x, digits = 1, unit = "\u00a0%") {
  text <- paste0(formatC(abs(100 * x), format = "f", digits = digits), unit)
  ifelse(is.na(x), "–", paste0(ifelse(x < 0, "−", "+"), text))
}

points <- function(x, digits = 1) signed(x, digits, unit = "\u00a0points")

p_value <- function(p) ifelse(is.na(p), "–", ifelse(p < 0.001, "< 0.001", formatC(p, format = "f", digits = 3)))

#' An interval in words, its unit said once.
between <- function(low, high, format) {
  first <- sub("\u00a0.*$", "", format(low))
  ifelse(is.na(low), "–", ifelse(is.na(high), paste(format(low), "or more"), paste(first, "to", format(high))))
}

a_table <- function(rows, align = NULL) {
  knitr::kable(rows, format = "html", row.names = FALSE, align = align, escape = TRUE)
}

#' A check of an assumption: what was looked at, what came out, what that means in words.
check <- function(assumption, measured, verdict, holds) {
  data.frame(Assumption = assumption, Measured = measured, Verdict = verdict, Holds = ifelse(holds, "yes", "no"))
}
