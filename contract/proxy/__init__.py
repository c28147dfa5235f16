"""Between an SDK and a server: bytes pass untouched, and what breaks the contract is told."""
