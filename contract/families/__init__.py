"""The checks, a pytest module for each family; run by `unsandbox-contract run`."""
