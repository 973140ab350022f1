//! Tests: heart.
