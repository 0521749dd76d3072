"""What every package may use: errors, deadlines, units. Imports nothing of Calotype."""
