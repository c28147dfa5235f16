"""`make bench`: what the emulator costs, as ratios measured in one run on one machine."""
