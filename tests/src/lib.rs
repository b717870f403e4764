//! What the suites under `tests/` share: JDKs, compiled fixtures, a child JVM as a value, reports read back.
