# Rscript render.R EXPORTS HTML JSON: render the notebook. Ends with 4 when the exports cannot be used, with 1 on any other error.

BAD_INPUT <- 4
arguments <- commandArgs(trailingOnly = TRUE)
options(warn = 1)
work <- tempfile("notebook")

fail <- function(error) {
  message("ERROR: ", gsub("\\s+", " ", conditionMessage(error)))
  quit(status = if (inherits(error, "input_error")) BAD_INPUT else 1)
}

tryCatch(
  rmarkdown::render(
    "r_kpi_analysis.Rmd",
    output_file = basename(arguments[2]), output_dir = dirname(arguments[2]), intermediates_dir = work,
    params = list(exports = arguments[1], json = arguments[3]), envir = new.env(), quiet = TRUE
  ),
  error = fail
)
