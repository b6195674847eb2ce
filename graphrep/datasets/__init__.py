"""Data to build and test on: synthetic logs with a planted truth (``sample``), adapters for public data."""
