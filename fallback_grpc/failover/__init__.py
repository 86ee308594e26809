"""Failover between two paths: nouns first (breaker, detector, plan, switchboard), then the asyncio and blocking shells.

- `breaker`: may a path carry orders, is it time to probe it?
- `detector`: what an event says about a path.
- `plan`: one call, its copies, and how it ends.
- `updates`: where a subscription stands.
- `switchboard`: all paths together: usable ones, journal check, events, counters.
- `asynchronous`, `blocking`, `funnel`, `streams`: the shells, which do the waiting.
"""
