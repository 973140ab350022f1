//! Tests: pki.
