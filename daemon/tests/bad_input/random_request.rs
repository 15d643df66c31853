//! Random messages of the API, written on the wire by their descriptors: every field, known or not, with values at the edges.

use std::collections::HashMap;

use farsock_proto::FILE_DESCRIPTOR_SET;
use prost::{
    Message as _,
    encoding::{WireType, encode_key, encode_varint},
};
use prost_types::{
    DescriptorProto, FieldDescriptorProto, FileDescriptorSet,
    field_descriptor_proto::{Label, Type},
};

/// The messages of the API by their full names, such as ".farsock.v1.BindRequest".
pub(crate) struct Api {
    messages: HashMap<String, DescriptorProto>,
    /// SocketService's verbs, and the requests that they take.
    pub(crate) verbs: Vec<(String, String)>,
}

impl Api {
    pub(crate) fn read() -> Self {
        let set = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).expect("the API's own");
        let mut api = Self {
            messages: HashMap::new(),
            verbs: Vec::new(),
        };
        for file in set.file {
            let package = format!(".{}", file.package());
            for message in file.message_type {
                let name = format!("{package}.{}", message.name());
                api.messages.insert(name, message);
            }
            for service in file.service {
                if service.name() == "SocketService" {
                    let verbs = service.method.into_iter();
                    api.verbs = verbs
                        .map(|verb| (verb.name().to_owned(), verb.input_type().to_owned()))
                        .collect();
                }
            }
        }
        assert_eq!(api.verbs.len(), 22);
        api
    }

    /// A message of that name, as `choices` decide.
    pub(crate) fn message(&self, name: &str, choices: &mut Choices<'_>) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.write(name, choices, 0, &mut bytes);
        bytes
    }

    fn write(&self, name: &str, choices: &mut Choices<'_>, depth: usize, bytes: &mut Vec<u8>) {
        let message = &self.messages[name];
        // One member of each oneof: with two the message is refused as a whole.
        let mut chosen: HashMap<i32, usize> = HashMap::new();
        for field in &message.field {
            if let Some(oneof) = field.oneof_index {
                *chosen.entry(oneof).or_default() += 1;
            }
        }
        for members in chosen.values_mut() {
            *members = choices.below(*members + 1);
        }
        for field in &message.field {
            let present = match field.oneof_index {
                Some(oneof) => {
                    let left = chosen.get_mut(&oneof).expect("counted above");
                    let this = *left == 1;
                    *left = left.saturating_sub(1);
                    this
                }
                None => choices.below(3) > 0,
            };
            if present {
                let repeated = field.label() == Label::Repeated;
                let count = if repeated { choices.below(4) } else { 1 };
                for _ in 0..count {
                    self.value(field, choices, depth, bytes);
                }
            }
        }
    }

    fn value(
        &self,
        field: &FieldDescriptorProto,
        choices: &mut Choices<'_>,
        depth: usize,
        bytes: &mut Vec<u8>,
    ) {
        let number = u32::try_from(field.number()).expect("field numbers are positive");
        let contents = match field.r#type() {
            Type::Message => {
                let mut inner = Vec::new();
                // Deep enough for every message of the API.
                if depth < 6 {
                    self.write(field.type_name(), choices, depth + 1, &mut inner);
                }
                inner
            }
            Type::String => choices.one_of(&TEXTS).as_bytes().to_vec(),
            Type::Bytes => {
                let length = choices.below(40);
                (0..length).map(|_| choices.byte()).collect()
            }
            Type::Bool => return varint(number, choices.below(2) as u64, bytes),
            // Negative int32s are ten bytes long, as int64s.
            Type::Enum => return varint(number, choices.below(24) as u64, bytes),
            Type::Uint64 => return varint(number, choices.below(9) as u64, bytes),
            _ if field.name() == "seconds" => {
                return varint(number, choices.one_of(&[0, 0, 0, u64::MAX]), bytes);
            }
            _ => return varint(number, choices.one_of(&NUMBERS).cast_unsigned(), bytes),
        };
        encode_key(number, WireType::LengthDelimited, bytes);
        encode_varint(contents.len() as u64, bytes);
        bytes.extend(contents);
    }
}

fn varint(number: u32, value: u64, bytes: &mut Vec<u8>) {
    encode_key(number, WireType::Varint, bytes);
    encode_varint(value, bytes);
}

/// Zero, families, types and levels, sizes of structures, and the edges of the types.
const NUMBERS: [i64; 24] = [
    0,
    0,
    1,
    1,
    2,
    3,
    5,
    6,
    10,
    16,
    17,
    41,
    64,
    107,
    108,
    1_024,
    1_025,
    65_535,
    65_536,
    i32::MAX as i64,
    1 << 31,
    -1,
    i64::MAX,
    i64::MIN,
];

/// Addresses of this host alone, and names of nothing.
const TEXTS: [&str; 20] = [
    "",
    "lo",
    "127.0.0.1",
    "::1",
    "::ffff:127.0.0.1",
    "127.0.0.1:0",
    "[::1]:0",
    "127.0.0.1:9",
    "unix:",
    "unix-abstract:farsock-fuzz",
    "vsock:1:1",
    "unspecified",
    "/no/such/directory/socket",
    "on",
    "1",
    "1s",
    "0x00000000",
    "reno",
    "a\0b",
    "zażółć gęślą jaźń, and on and on and on and on and on and on and on and on and on and on and on and on and on",
];

/// Random decisions, taken from bytes: the same bytes decide the same, and none left decides zero.
pub(crate) struct Choices<'a>(&'a [u8]);

impl<'a> Choices<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    fn byte(&mut self) -> u8 {
        match self.0.split_first() {
            Some((first, rest)) => {
                self.0 = rest;
                *first
            }
            None => 0,
        }
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        usize::from(self.byte()) % limit
    }

    fn one_of<T: Copy>(&mut self, values: &[T]) -> T {
        values[self.below(values.len())]
    }
}
