"""Jobs as the page shows them: one reader of storage for all viewers."""
