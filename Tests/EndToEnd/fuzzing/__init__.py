"""What schemathesis needs to know besides the contract; test_schemathesis.py runs it."""
