"""The bridge to the execution engine: the contract as Python types, and the fast path."""
