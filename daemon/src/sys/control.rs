//! Control messages as the kernel takes and gives them (cmsg(3)).
