//! Random bytes from the kernel.

use std::{fs::File, io, io::Read};

/// 128 random bits as 32 hexadecimal digits.
pub(crate) fn hex_id() -> io::Result<String> {
    let mut bytes = [0; 16];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(format!("{:032x}", u128::from_ne_bytes(bytes)))
}
