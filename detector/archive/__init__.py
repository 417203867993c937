"""The archive: records as they came in sealed segments, hourly signed digests, and Parquet derived from them.

docs/operations/archive.md describes every byte; `audit.archive` reads it from there and shares no code with this package.
"""
