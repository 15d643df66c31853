//! Tests of the journal: placeholder.
