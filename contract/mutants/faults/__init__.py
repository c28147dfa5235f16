"""The table of faults, a module for each thing that servers get wrong."""
