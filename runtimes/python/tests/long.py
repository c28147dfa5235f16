for _ in range(100_000):
    print(123456789)
