"""What the demo, the tests and the benches stand on: an engine process, and a proxy that breaks connections."""
