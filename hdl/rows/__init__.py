"""Rows in memory: LOAD_ROWS and STORE_ROWS."""
