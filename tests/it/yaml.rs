//! Tests: yaml.
