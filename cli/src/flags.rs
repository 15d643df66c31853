//! MSG_* flags as options of the commands that send and receive.

use farsock_client::MessageFlags;

use crate::args::integer;

/// Flags of send(2).
#[derive(clap::Args)]
#[command(next_help_heading = "Flags of the call")]
pub(crate) struct SendFlags {
    /// MSG_DONTWAIT: EAGAIN at once instead of waiting
    #[arg(long)]
    dontwait: bool,
    /// MSG_OOB: out-of-band data
    #[arg(long)]
    oob: bool,
    /// MSG_MORE: more data will follow; hold a partial packet back
    #[arg(long)]
    more: bool,
    /// MSG_EOR: end of record
    #[arg(long)]
    eor: bool,
    /// MSG_DONTROUTE: to directly connected networks alone
    #[arg(long)]
    dontroute: bool,
    /// MSG_CONFIRM: the neighbour is known to be alive
    #[arg(long)]
    confirm: bool,
    /// MSG_FASTOPEN: send data in the SYN, connecting by the way
    #[arg(long)]
    fastopen: bool,
    /// Further flags by number, or'ed in
    #[arg(long, value_name = "NUMBER", value_parser = integer::<u32>)]
    raw_flags: Option<u32>,
}

impl SendFlags {
    pub(crate) fn flags(&self) -> MessageFlags {
        use MessageFlags as F;
        union(
            &[
                (self.dontwait, F::DONTWAIT),
                (self.oob, F::OOB),
                (self.more, F::MORE),
                (self.eor, F::EOR),
                (self.dontroute, F::DONTROUTE),
                (self.confirm, F::CONFIRM),
                (self.fastopen, F::FASTOPEN),
            ],
            self.raw_flags,
        )
    }
}

/// Flags of recv(2).
#[derive(clap::Args)]
#[command(next_help_heading = "Flags of the call")]
pub(crate) struct RecvFlags {
    /// MSG_DONTWAIT: EAGAIN at once instead of waiting
    #[arg(long)]
    dontwait: bool,
    /// MSG_PEEK: leave what was received in the queue
    #[arg(long)]
    peek: bool,
    /// MSG_WAITALL: wait for the whole length on a stream socket
    #[arg(long)]
    waitall: bool,
    /// MSG_TRUNC: on a TCP socket, discard the bytes
    #[arg(long)]
    trunc: bool,
    /// MSG_OOB: the out-of-band byte
    #[arg(long)]
    oob: bool,
    /// MSG_ERRQUEUE: from the socket's error queue; never waits
    #[arg(long)]
    errqueue: bool,
    /// Further flags by number, or'ed in
    #[arg(long, value_name = "NUMBER", value_parser = integer::<u32>)]
    raw_flags: Option<u32>,
}

impl RecvFlags {
    pub(crate) fn flags(&self) -> MessageFlags {
        use MessageFlags as F;
        union(
            &[
                (self.dontwait, F::DONTWAIT),
                (self.peek, F::PEEK),
                (self.waitall, F::WAITALL),
                (self.trunc, F::TRUNC),
                (self.oob, F::OOB),
                (self.errqueue, F::ERRQUEUE),
            ],
            self.raw_flags,
        )
    }
}

/// The names of the flags in a set; those by number as one number.
pub(crate) fn names(flags: MessageFlags) -> Vec<String> {
    if flags.is_empty() {
        return Vec::new();
    }
    flags.to_string().split('|').map(str::to_owned).collect()
}

fn union(flags: &[(bool, MessageFlags)], raw: Option<u32>) -> MessageFlags {
    flags.iter().filter(|(set, _)| *set).fold(
        MessageFlags::from_raw(raw.unwrap_or(0)),
        |all, (_, flag)| all | *flag,
    )
}
