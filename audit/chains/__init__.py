"""The chains of sealed records, read and judged; `audit.verify` is the way in."""
