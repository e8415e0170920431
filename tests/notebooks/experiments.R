# Rscript experiments.R NOTEBOOKS DIRECTORY...: what the notebook finds in the experiments of each directory, as JSON.

arguments <- commandArgs(trailingOnly = TRUE)
for (part in list.files(file.path(arguments[1], "R"), full.names = TRUE)) source(part)
found <- lapply(arguments[-1], function(directory) analyse_experiments(read_experiments(directory)))
cat(jsonlite::toJSON(found, digits = NA))
