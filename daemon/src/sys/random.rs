//! Random bytes from the kernel.

use std::io;

/// 128 random bits as 32 hexadecimal digits. Takes no descriptor. Corresponds to getrandom(2).
pub(crate) fn hex_id() -> io::Result<String> {
    let mut bytes = [0_u8; 16];
    let mut filled = 0;
    while filled < bytes.len() {
        let rest = &mut bytes[filled..];
        // SAFETY: `rest` is writable for its length.
        let count = unsafe { libc::getrandom(rest.as_mut_ptr().cast(), rest.len(), 0) };
        match usize::try_from(count) {
            Ok(count) => filled += count,
            Err(_negative) => {
                let error = io::Error::last_os_error();
                if error.kind() != io::ErrorKind::Interrupted {
                    return Err(error);
                }
            }
        }
    }
    Ok(format!("{:032x}", u128::from_ne_bytes(bytes)))
}
