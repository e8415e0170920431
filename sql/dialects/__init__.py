"""What each target is carried by and allowed to hold; DuckDB is where every SELECT comes from."""
