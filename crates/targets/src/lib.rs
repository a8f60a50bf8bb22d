//! Known posteriors with exact moments, for tests, benchmarks and examples.
