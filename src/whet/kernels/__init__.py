"""Mathematics that gives a library's result faster. Knows tensors only.

Every kernel stands beside a plain reference and an exactness test.
"""
