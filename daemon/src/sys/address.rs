//! Socket addresses as the kernel takes and gives them.
