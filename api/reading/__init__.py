"""What the reading routes answer: gated versions of tables, in pages that stay with one version."""
