"""What is written is what is read: an operation that runs a program does what it says."""
