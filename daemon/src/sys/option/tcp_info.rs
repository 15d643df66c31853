//! struct tcp_info, which grows with the kernel: read field by field, as far as the kernel's own reaches.

use farsock_proto::v1;
use prost_types::Duration;

/// Decodes what getsockopt(2) gave for TCP_INFO.
pub(super) fn decode(bytes: &[u8]) -> v1::TcpInfo {
    // Evaluated in the order of struct tcp_info, which has no padding between its fields.
    let mut next = Reader { bytes };
    let state = next.u8();
    let ca_state = next.u8().map(|state| i32::from(state) + 1);
    let retransmits = next.u8();
    let probes = next.u8();
    let backoff = next.u8();
    let options = next.u8().unwrap_or_default();
    let wscale = Bits::of(next.u8());
    let flags = Bits::of(next.u8());
    let rto = next.u32();
    let ato = next.u32();
    let snd_mss = next.u32();
    let rcv_mss = next.u32();
    let unacked = next.u32();
    let sacked = next.u32();
    let lost = next.u32();
    let retrans = next.u32();
    let _fackets = next.u32();
    let last_data_sent = next.u32();
    let _last_ack_sent = next.u32();
    let last_data_recv = next.u32();
    let last_ack_recv = next.u32();
    v1::TcpInfo {
        state: state.map(i32::from).unwrap_or_default(),
        ca_state: ca_state.unwrap_or_default(),
        retransmits: retransmits.map(u32::from).unwrap_or_default(),
        probes: probes.map(u32::from).unwrap_or_default(),
        backoff: backoff.map(u32::from).unwrap_or_default(),
        options: features(options),
        snd_wscale: wscale.field(0, 4),
        rcv_wscale: wscale.field(4, 4),
        delivery_rate_app_limited: flags.field(0, 1) != 0,
        fastopen_client_fail: i32::try_from(flags.field(1, 2)).unwrap_or_default(),
        rto: rto.map(micros),
        ato: ato.map(micros),
        snd_mss: snd_mss.unwrap_or_default(),
        rcv_mss: rcv_mss.unwrap_or_default(),
        unacked: unacked.unwrap_or_default(),
        sacked: sacked.unwrap_or_default(),
        lost: lost.unwrap_or_default(),
        retrans: retrans.unwrap_or_default(),
        last_data_sent: last_data_sent.map(millis),
        last_data_recv: last_data_recv.map(millis),
        last_ack_recv: last_ack_recv.map(millis),
        pmtu: next.u32().unwrap_or_default(),
        rcv_ssthresh: next.u32().unwrap_or_default(),
        rtt: next.u32().map(micros),
        rttvar: next.u32().map(micros),
        snd_ssthresh: next.u32().unwrap_or_default(),
        snd_cwnd: next.u32().unwrap_or_default(),
        advmss: next.u32().unwrap_or_default(),
        reordering: next.u32().unwrap_or_default(),
        rcv_rtt: next.u32().map(micros),
        rcv_space: next.u32().unwrap_or_default(),
        total_retrans: next.u32().unwrap_or_default(),
        pacing_rate: next.u64().unwrap_or_default(),
        max_pacing_rate: next.u64().unwrap_or_default(),
        bytes_acked: next.u64().unwrap_or_default(),
        bytes_received: next.u64().unwrap_or_default(),
        segs_out: next.u32().unwrap_or_default(),
        segs_in: next.u32().unwrap_or_default(),
        notsent_bytes: next.u32().unwrap_or_default(),
        // All bits: none measured yet.
        min_rtt: next.u32().filter(|&rtt| rtt != u32::MAX).map(micros),
        data_segs_in: next.u32().unwrap_or_default(),
        data_segs_out: next.u32().unwrap_or_default(),
        delivery_rate: next.u64().unwrap_or_default(),
        busy_time: next.u64().map(micros),
        rwnd_limited: next.u64().map(micros),
        sndbuf_limited: next.u64().map(micros),
        delivered: next.u32().unwrap_or_default(),
        delivered_ce: next.u32().unwrap_or_default(),
        bytes_sent: next.u64().unwrap_or_default(),
        bytes_retrans: next.u64().unwrap_or_default(),
        dsack_dups: next.u32().unwrap_or_default(),
        reord_seen: next.u32().unwrap_or_default(),
        rcv_ooopack: next.u32().unwrap_or_default(),
        snd_wnd: next.u32().unwrap_or_default(),
        rcv_wnd: next.u32().unwrap_or_default(),
        rehash: next.u32().unwrap_or_default(),
        total_rto: next.u16().map(u32::from).unwrap_or_default(),
        total_rto_recoveries: next.u16().map(u32::from).unwrap_or_default(),
        total_rto_time: next.u32().map(millis),
        received_ce: next.u32().unwrap_or_default(),
        delivered_e1_bytes: next.u32().unwrap_or_default(),
        delivered_e0_bytes: next.u32().unwrap_or_default(),
        delivered_ce_bytes: next.u32().unwrap_or_default(),
        received_e1_bytes: next.u32().unwrap_or_default(),
        received_e0_bytes: next.u32().unwrap_or_default(),
        received_ce_bytes: next.u32().unwrap_or_default(),
    }
}

/// The bits of tcpi_options, each the feature of its place.
fn features(options: u8) -> Vec<i32> {
    (1..=8)
        .filter(|place| options >> (place - 1) & 1 != 0)
        .collect()
}

fn micros(time: impl Into<u64>) -> Duration {
    duration(std::time::Duration::from_micros(time.into()))
}

fn millis(time: u32) -> Duration {
    duration(std::time::Duration::from_millis(time.into()))
}

fn duration(time: std::time::Duration) -> Duration {
    // 2^64 microseconds are far fewer than 2^63 seconds.
    Duration::try_from(time).unwrap_or_default()
}

/// A byte of C bit fields, of which the first are the lowest bits, or on a big-endian host the highest.
struct Bits(u8);

impl Bits {
    fn of(byte: Option<u8>) -> Self {
        Self(byte.unwrap_or_default())
    }

    fn field(&self, first: u32, width: u32) -> u32 {
        let shift = if cfg!(target_endian = "big") {
            8 - first - width
        } else {
            first
        };
        u32::from(self.0) >> shift & ((1 << width) - 1)
    }
}

/// Takes fields off the front; past the end there are none any more.
struct Reader<'a> {
    bytes: &'a [u8],
}

impl Reader<'_> {
    fn u8(&mut self) -> Option<u8> {
        self.take().map(u8::from_ne_bytes)
    }

    fn u16(&mut self) -> Option<u16> {
        self.take().map(u16::from_ne_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_ne_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_ne_bytes)
    }

    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let Some((field, rest)) = self.bytes.split_first_chunk() else {
            self.bytes = &[];
            return None;
        };
        self.bytes = rest;
        Some(*field)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A struct tcp_info whose bytes are their own offsets.
    fn numbered(length: usize) -> Vec<u8> {
        (0..length)
            .map(|offset| u8::try_from(offset % 256).expect("below 256"))
            .collect()
    }

    fn u32_at(offset: usize) -> u32 {
        let bytes = numbered(offset + 4);
        u32::from_ne_bytes(*bytes[offset..].first_chunk().expect("four bytes"))
    }

    #[test]
    fn fields_are_read_where_the_kernel_keeps_them() {
        // offsetof of linux/tcp.h, as C would say.
        let info = decode(&numbered(280));
        assert_eq!(info.state, 0);
        assert_eq!(info.ca_state, 2);
        assert_eq!(info.rto, Some(micros(u32_at(8))));
        assert_eq!(info.last_ack_recv, Some(millis(u32_at(56))));
        assert_eq!(info.rtt, Some(micros(u32_at(68))));
        assert_eq!(info.total_retrans, u32_at(100));
        assert_eq!(
            info.pacing_rate.to_ne_bytes()[..4],
            u32_at(104).to_ne_bytes()
        );
        assert_eq!(
            info.delivery_rate.to_ne_bytes()[..4],
            u32_at(160).to_ne_bytes()
        );
        assert_eq!(
            info.bytes_sent.to_ne_bytes()[..4],
            u32_at(200).to_ne_bytes()
        );
        assert_eq!(info.snd_wnd, u32_at(228));
        assert_eq!(info.total_rto_time, Some(millis(u32_at(244))));
        assert_eq!(info.received_ce_bytes, u32_at(272));
    }

    #[test]
    fn a_shorter_structure_leaves_the_later_fields_out() {
        let whole = decode(&numbered(280));
        for length in 0..280 {
            let info = decode(&numbered(length));
            assert_eq!(info.rtt, whole.rtt.filter(|_| length >= 72), "{length}");
            assert_eq!(
                info.total_rto_time,
                whole.total_rto_time.filter(|_| length >= 248),
                "{length}"
            );
            assert_eq!(
                info.received_ce_bytes,
                if length >= 276 {
                    whole.received_ce_bytes
                } else {
                    0
                }
            );
        }
        assert_eq!(decode(&[]), v1::TcpInfo::default());
    }

    #[test]
    fn bits_become_features_and_scales() {
        let mut bytes = numbered(280);
        bytes[5] = 0b1000_0101;
        bytes[6] = if cfg!(target_endian = "big") {
            0x7a
        } else {
            0xa7
        };
        let info = decode(&bytes);
        let features = [
            v1::TcpFeature::Timestamps,
            v1::TcpFeature::Wscale,
            v1::TcpFeature::TfoChild,
        ];
        assert_eq!(info.options, features.map(i32::from));
        assert_eq!((info.snd_wscale, info.rcv_wscale), (7, 10));
    }

    #[test]
    fn a_round_trip_time_that_was_never_measured_is_absent() {
        let mut bytes = numbered(280);
        bytes[148..152].fill(255);
        assert_eq!(decode(&bytes).min_rtt, None);
    }
}
