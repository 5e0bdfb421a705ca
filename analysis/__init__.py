"""Results -> figures, tables, verdicts, report; draws only from recorded cells and does without torch."""
