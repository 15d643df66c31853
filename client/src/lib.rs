//! A thin async client for farsockd.
