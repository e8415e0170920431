"""Changes on the way to a target: one function, one kind of node, nothing done where it does not apply."""
