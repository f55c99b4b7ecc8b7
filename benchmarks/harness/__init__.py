"""What every suite needs: sizes, timing, processes, records, tables."""
