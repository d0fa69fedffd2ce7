"""What r2d costs, measured."""
