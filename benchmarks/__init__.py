"""Benchmark suites that users can run against other systems."""
