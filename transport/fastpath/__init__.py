"""The fast-path client: one sans-I/O core, a blocking and an asyncio shell around it, market data."""
