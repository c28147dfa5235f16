"""Every language of the contract is listed, found by each of its names, and runs programs."""
