# Reading the exports: every cell is what its column says, or an error that names file, line and column.

#' Rows of an exported mart, numbers as numbers, days as dates, flags as logicals; an empty cell is NA.
#' @param types Named character vector: column -> "text", "number", "count", "date" or "flag", with "?" where
#'   a cell may be empty. Columns not named are left out.
read_export <- function(directory, mart, types) {
  file <- file.path(directory, paste0(mart, ".csv"))
  cells <- utils::read.csv(
    file, colClasses = "character", check.names = FALSE, na.strings = "", encoding = "UTF-8", strip.white = TRUE
  )
  absent <- setdiff(names(types), names(cells))
  if (length(absent) > 0) input_error(basename(file), ": no column ", paste(absent, collapse = ", "))
  if (nrow(cells) == 0) input_error(basename(file), ": no rows")
  rows <- lapply(names(types), function(column) parse_column(cells[[column]], types[[column]], basename(file), column))
  as.data.frame(stats::setNames(rows, names(types)))
}

parse_column <- function(cells, declared, file, column) {
  type <- sub("?", "", declared, fixed = TRUE)
  if (type == declared && anyNA(cells)) input_error(file, ", line ", which(is.na(cells))[1] + 1, ": ", column, " is empty")
  values <- switch(type,
    text = cells,
    number = suppressWarnings(as.numeric(cells)),
    count = suppressWarnings(as.numeric(cells)),
    date = as.Date(cells, format = "%Y-%m-%d"),
    flag = c(true = TRUE, false = FALSE)[tolower(cells)]
  )
  wrong <- !is.na(cells) & is.na(values)
  if (type == "count") wrong <- wrong | (!is.na(values) & (values < 0 | values != round(values)))
  if (any(wrong)) {
    first <- which(wrong)[1]
    # The header is line 1; a quoted line break above would shift this, and marts hold none.
    input_error(file, ", line ", first + 1, ": ", column, " is \"", cells[first], "\", which is no ", type)
  }
  unname(values)
}

#' Stop because of what was given, not because of this code: the renderer ends with the exit code of bad input.
input_error <- function(...) {
  stop(structure(class = c("input_error", "error", "condition"), list(message = paste0(...), call = NULL)))
}
