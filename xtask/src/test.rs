//! test.
