//! Socket options: the table, and setsockopt(2) and getsockopt(2) by it.
