"""Demo people and photographs, and larger populations to try things on."""
