"""Validators of templates, one kind a module: each has `problems(path) -> list[str]`, empty when a file is valid."""
