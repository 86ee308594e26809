"""An orchestrator on real market data, and the rig it runs on."""
