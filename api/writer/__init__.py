"""The one process that appends rows from HTTP to bronze: group commit, ledger of seen ids, and the way to it."""
