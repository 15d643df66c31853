//! Values as people read them and as programs do: each kind once, and named ones in a row.

use std::{
    net::IpAddr,
    time::{Duration, SystemTime},
};

use farsock_client::{
    Address, ControlMessage, Credentials, ExtendedError, MessageFlags, MulticastInterface,
    OptionValue, PollEvents, Rights,
};
use farsock_proto::time::{format_duration, timestamp_to_wire};
use serde_json::{Map, Value, json};

use crate::{flags, payload};

/// A value in its two forms. In JSON, times are seconds, moments RFC 3339, addresses their text form, and what is not there is null.
pub(crate) trait Show {
    /// For people.
    fn text(&self) -> String;
    /// For programs.
    fn json(&self) -> Value;
}

/// Named values, in the order in which they are shown.
#[derive(Default)]
pub(crate) struct Fields(Vec<(&'static str, Field)>);

enum Field {
    Value { text: String, json: Value },
    Group(Fields),
}

impl Fields {
    /// Adds a value.
    pub(crate) fn with(mut self, name: &'static str, value: impl Show) -> Self {
        let (text, json) = (value.text(), value.json());
        self.0.push((name, Field::Value { text, json }));
        self
    }

    /// Adds values that belong together: an object in JSON, and a common prefix in text.
    pub(crate) fn group(mut self, name: &'static str, fields: Self) -> Self {
        self.0.push((name, Field::Group(fields)));
        self
    }

    /// As one JSON object.
    pub(crate) fn json(&self) -> Value {
        let object: Map<_, _> = self
            .0
            .iter()
            .map(|(name, field)| {
                let value = match field {
                    Field::Value { json, .. } => json.clone(),
                    Field::Group(fields) => fields.json(),
                };
                ((*name).to_owned(), value)
            })
            .collect();
        Value::Object(object)
    }

    /// As pairs of name and text; those of a group have its name before theirs.
    pub(crate) fn pairs(&self) -> Vec<(String, String)> {
        let mut pairs = Vec::new();
        for (name, field) in &self.0 {
            match field {
                Field::Value { text, .. } => pairs.push(((*name).to_owned(), text.clone())),
                Field::Group(fields) => pairs.extend(
                    fields
                        .pairs()
                        .into_iter()
                        .map(|(inner, text)| (format!("{name}.{inner}"), text)),
                ),
            }
        }
        pairs
    }
}

/// A control message: its name in the API, and what it says.
pub(crate) fn control(message: &ControlMessage) -> Fields {
    use ControlMessage as C;
    let fields = Fields::default();
    match message {
        C::Ipv4PacketInfo {
            interface_index,
            local_address,
            destination,
        } => fields.group(
            "ipv4_packet_info",
            Fields::default()
                .with("interface_index", *interface_index)
                .with("local_address", IpAddr::from(*local_address))
                .with("destination", IpAddr::from(*destination)),
        ),
        C::Ipv6PacketInfo {
            address,
            interface_index,
        } => fields.group(
            "ipv6_packet_info",
            Fields::default()
                .with("address", IpAddr::from(*address))
                .with("interface_index", *interface_index),
        ),
        C::Ttl(ttl) => fields.with("ttl", *ttl),
        C::HopLimit(limit) => fields.with("hop_limit", *limit),
        C::TypeOfService(tos) => fields.with("type_of_service", *tos),
        C::TrafficClass(class) => fields.with("traffic_class", *class),
        C::Timestamp(time) => fields.with("timestamp", *time),
        C::TimestampNs(time) => fields.with("timestamp_ns", *time),
        C::Timestamping { software, hardware } => fields.group(
            "timestamping",
            Fields::default()
                .with("software", *software)
                .with("hardware", *hardware),
        ),
        C::ExtendedError(error) => fields.group("extended_error", extended_error(error)),
        C::SegmentSize(size) => fields.with("segment_size", u32::from(*size)),
        C::ReceiveSegmentSize(size) => fields.with("receive_segment_size", *size),
        C::Credentials(of) => fields.group("credentials", credentials(*of)),
        C::Rights(Rights { handles, discarded }) => fields.group(
            "rights",
            Fields::default()
                .with("handles", handles.clone())
                .with("discarded", *discarded),
        ),
        C::ReceiveQueueOverflow(count) => fields.with("receive_queue_overflow", *count),
        C::OriginalDestination(address) => {
            fields.with("original_destination", Address::Ip(*address))
        }
        C::Raw { level, kind, data } => fields.group(
            "raw",
            Fields::default()
                .with("level", *level)
                .with("type", *kind)
                .with("data", payload::to_hex(data)),
        ),
    }
}

fn extended_error(error: &ExtendedError) -> Fields {
    Fields::default()
        .with("errno_name", error.errno_name.map(str::to_owned))
        .with("errno_number", error.errno)
        .with("origin", u32::from(error.origin))
        .with("type", u32::from(error.icmp_type))
        .with("code", u32::from(error.icmp_code))
        .with("info", error.info)
        .with("data", error.data)
        .with("offender", error.offender.map(Address::Ip))
}

fn credentials(of: Credentials) -> Fields {
    Fields::default()
        .with("pid", of.pid)
        .with("uid", of.uid)
        .with("gid", of.gid)
}

/// An option's text is the one that `opt set` reads.
impl Show for OptionValue {
    fn text(&self) -> String {
        self.to_string()
    }

    fn json(&self) -> Value {
        let interface = |of: &MulticastInterface| match of.index {
            0 => of.address.to_string().into(),
            index => Value::from(index),
        };
        match self {
            Self::Flag(on) => Value::Bool(*on),
            Self::Integer(number) => (*number).into(),
            Self::Duration(duration) => duration.json(),
            Self::Linger(linger) => linger.json(),
            Self::Integers(numbers) => numbers.clone().into(),
            Self::Credentials(of) => credentials(*of).json(),
            Self::TcpInfo(info) => crate::tcp_info::fields(info).json(),
            Self::Membership(of) => json!({
                "group": of.group.to_string(),
                "interface": interface(&of.interface),
            }),
            Self::SourceMembership(of) => json!({
                "group": of.group.to_string(),
                "source": of.source.to_string(),
                "interface": interface(&of.interface),
            }),
            Self::MulticastInterface(of) => interface(of),
            Self::Name(_) | Self::Address(_) | Self::Raw(_) | Self::Text(_) => {
                Value::String(self.to_string())
            }
        }
    }
}

impl Show for bool {
    fn text(&self) -> String {
        if *self { "yes" } else { "no" }.to_owned()
    }

    fn json(&self) -> Value {
        Value::Bool(*self)
    }
}

impl Show for Duration {
    fn text(&self) -> String {
        format_duration(*self)
    }

    fn json(&self) -> Value {
        self.as_secs_f64().into()
    }
}

impl Show for SystemTime {
    fn text(&self) -> String {
        timestamp_to_wire(*self).to_string()
    }

    fn json(&self) -> Value {
        Value::String(self.text())
    }
}

impl Show for MessageFlags {
    fn text(&self) -> String {
        self.to_string()
    }

    fn json(&self) -> Value {
        flags::names(*self).into()
    }
}

impl Show for PollEvents {
    fn text(&self) -> String {
        self.names().collect::<Vec<_>>().join(",").to_lowercase()
    }

    fn json(&self) -> Value {
        self.names().map(str::to_lowercase).collect()
    }
}

impl<T: Show> Show for Option<T> {
    fn text(&self) -> String {
        self.as_ref().map_or_else(|| "-".to_owned(), Show::text)
    }

    fn json(&self) -> Value {
        self.as_ref().map_or(Value::Null, Show::json)
    }
}

impl<T: Show> Show for Vec<T> {
    fn text(&self) -> String {
        let texts: Vec<String> = self.iter().map(Show::text).collect();
        texts.join(",")
    }

    fn json(&self) -> Value {
        self.iter().map(Show::json).collect()
    }
}

/// What JSON has a number for.
macro_rules! show_numbers {
    ($($type:ty),*) => {$(
        impl Show for $type {
            fn text(&self) -> String {
                self.to_string()
            }

            fn json(&self) -> Value {
                Value::from(*self)
            }
        }
    )*};
}
show_numbers!(i32, i64, u32, u64);

/// What is text in both forms.
macro_rules! show_texts {
    ($($type:ty),*) => {$(
        impl Show for $type {
            fn text(&self) -> String {
                self.to_string()
            }

            fn json(&self) -> Value {
                Value::String(self.to_string())
            }
        }
    )*};
}
show_texts!(Address, IpAddr, String, &str);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_keep_their_order_and_a_group_is_an_object_or_a_prefix() {
        let fields = Fields::default()
            .with("zone", "a")
            .with("at", SystemTime::UNIX_EPOCH)
            .group(
                "inner",
                Fields::default().with("rtt", Duration::from_millis(2)),
            );
        assert_eq!(
            fields.json().to_string(),
            r#"{"zone":"a","at":"1970-01-01T00:00:00Z","inner":{"rtt":0.002}}"#
        );
        let pairs = fields.pairs();
        assert_eq!(pairs[2], ("inner.rtt".to_owned(), "2ms".to_owned()));
    }

    #[test]
    fn what_is_not_there_is_a_dash_or_null() {
        assert_eq!(None::<u64>.text(), "-");
        assert_eq!(None::<u64>.json(), Value::Null);
    }
}
