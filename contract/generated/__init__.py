"""Requests made from the contract by schemathesis; what comes of them is judged by this suite.

`cases` makes them, `judged` sends one and says whether the answer is right, `machine` chains them.
"""
