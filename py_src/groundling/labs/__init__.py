"""What is found out with runs: diagnoses, comparisons, measurements and looks inside."""
