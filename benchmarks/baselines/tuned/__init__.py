"""The home feed as somebody writes it who counts microseconds but stays with sync Django."""
