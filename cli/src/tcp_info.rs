//! TCP_INFO, field by field.

use std::time::Duration;

use farsock_client::TcpInfo;
use farsock_proto::v1::{TcpCongestionState, TcpFastOpenFailure, TcpFeature, TcpState};
use serde_json::Value;

use crate::show::{Fields, Show};

/// Lists the message's fields; the pattern has no `..`, so that a new field does not compile until it is listed.
macro_rules! list {
    ($info:expr; $($field:ident $(: $names:ident)?),* $(,)?) => {{
        let TcpInfo { $($field),* } = $info;
        Fields::default()$(.with(stringify!($field), list!(@value $field $($names)?)))*
    }};
    (@value $field:ident) => {
        $field.clone()
    };
    (@value $field:ident $names:ident) => {
        Named($field.clone(), |number| {
            Some($names::try_from(number).ok()?.as_str_name())
        })
    };
}

/// All fields, by the API's names; "-" and null are those that the daemon's kernel does not have.
pub(crate) fn fields(info: &TcpInfo) -> Fields {
    list!(
        info;
        state: TcpState,
        ca_state: TcpCongestionState,
        retransmits,
        probes,
        backoff,
        options: TcpFeature,
        snd_wscale,
        rcv_wscale,
        delivery_rate_app_limited,
        fastopen_client_fail: TcpFastOpenFailure,
        rto,
        ato,
        snd_mss,
        rcv_mss,
        unacked,
        sacked,
        lost,
        retrans,
        last_data_sent,
        last_data_recv,
        last_ack_recv,
        pmtu,
        rcv_ssthresh,
        rtt,
        rttvar,
        snd_ssthresh,
        snd_cwnd,
        advmss,
        reordering,
        rcv_rtt,
        rcv_space,
        total_retrans,
        pacing_rate,
        max_pacing_rate,
        bytes_acked,
        bytes_received,
        segs_out,
        segs_in,
        notsent_bytes,
        min_rtt,
        data_segs_in,
        data_segs_out,
        delivery_rate,
        busy_time,
        rwnd_limited,
        sndbuf_limited,
        delivered,
        delivered_ce,
        bytes_sent,
        bytes_retrans,
        dsack_dups,
        reord_seen,
        rcv_ooopack,
        snd_wnd,
        rcv_wnd,
        rehash,
        total_rto,
        total_rto_recoveries,
        total_rto_time,
        received_ce,
        delivered_e1_bytes,
        delivered_e0_bytes,
        delivered_ce_bytes,
        received_e1_bytes,
        received_e0_bytes,
        received_ce_bytes,
    )
}

/// An enum's number, or several, and how to find their names.
struct Named<T>(T, fn(i32) -> Option<&'static str>);

impl Named<i32> {
    /// The name without what all names of the enum begin with; a number if it has none.
    fn name(&self) -> Option<String> {
        let Self(number, name_of) = self;
        if *number == 0 {
            return None;
        }
        let Some(name) = name_of(*number) else {
            return Some(number.to_string());
        };
        let prefix = name_of(0).and_then(|zero| zero.strip_suffix("UNSPECIFIED"));
        let name = name.strip_prefix(prefix.unwrap_or("")).unwrap_or(name);
        Some(name.to_lowercase().replace('_', "-"))
    }
}

impl Show for Named<i32> {
    fn text(&self) -> String {
        self.name().text()
    }

    fn json(&self) -> Value {
        self.name().json()
    }
}

impl Named<Vec<i32>> {
    fn names(&self) -> Vec<String> {
        let numbers = self.0.iter();
        numbers
            .filter_map(|number| Named(*number, self.1).name())
            .collect()
    }
}

impl Show for Named<Vec<i32>> {
    fn text(&self) -> String {
        self.names().text()
    }

    fn json(&self) -> Value {
        self.names().json()
    }
}

impl Show for prost_types::Duration {
    fn text(&self) -> String {
        std_duration(self).text()
    }

    fn json(&self) -> Value {
        std_duration(self).json()
    }
}

/// A span of the kernel's; a negative one, which would be the daemon's mistake, shows as 0.
fn std_duration(wire: &prost_types::Duration) -> Duration {
    Duration::try_from(*wire).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn enums_show_their_names_and_unknown_numbers_themselves() {
        let info = TcpInfo {
            state: 2,
            options: vec![TcpFeature::Sack.into(), 99],
            rtt: Some(prost_types::Duration {
                seconds: 0,
                nanos: 250_000,
            }),
            ..TcpInfo::default()
        };
        let json = fields(&info).json();
        assert_eq!(json["state"], "syn-sent");
        assert_eq!(json["ca_state"], Value::Null);
        assert_eq!(json["options"], serde_json::json!(["sack", "99"]));
        assert_eq!(json["rtt"], 0.000_25);
    }
}
