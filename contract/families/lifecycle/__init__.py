"""Sessions, services, snapshots and images: from their making to their end, and in between."""
