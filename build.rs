//! Compiles `proto/` into Rust and a descriptor set; protox needs no protoc on the machine.

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    error::Error,
    fs,
    path::PathBuf,
};

use prost::Message;
use prost_types::{
    DescriptorProto, FieldDescriptorProto, FileDescriptorSet, field_descriptor_proto::Label,
};
use tonic_prost_build::Config;

/// The API's package.
const PACKAGE: &str = "farsock.v1";

/// Every file of the API; a new one is added here.
const FILES: [&str; 12] = [
    "proto/farsock/v1/address.proto",
    "proto/farsock/v1/error.proto",
    "proto/farsock/v1/host_service.proto",
    "proto/farsock/v1/journal_service.proto",
    "proto/farsock/v1/message.proto",
    "proto/farsock/v1/operation.proto",
    "proto/farsock/v1/option.proto",
    "proto/farsock/v1/session_service.proto",
    "proto/farsock/v1/socket.proto",
    "proto/farsock/v1/socket_service.proto",
    "proto/farsock/v1/stream_service.proto",
    "proto/farsock/v1/tcp_info.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    let descriptors = protox::Compiler::new(["proto"])?
        .include_imports(true)
        // Comments are part of the API: reflection shows them.
        .include_source_info(true)
        .open_files(FILES.map(|file| file.trim_start_matches("proto/")))?
        .file_descriptor_set();

    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("farsock.v1.bin"), descriptors.encode_to_vec())?;
    fs::write(out.join("shapes.rs"), shapes(&descriptors))?;
    let mut config = Config::new();
    // By its name the codec finds a message's shape.
    config.enable_type_names();
    // Rare and many times as large as all others: requests and results, which are moved often, would all be of their size.
    for large in [
        ".farsock.v1.GetSocketResponse.socket",
        ".farsock.v1.OptionValue.value.tcp_info",
        ".farsock.v1.Socket.tcp_info",
    ] {
        config.boxed(large);
    }
    // prost derives it but for what holds repeated messages. An operation's hash tells it from another.
    let hash = "#[derive(Eq, Hash)]";
    for message in [
        ".farsock.v1.CreateSocketRequest",
        ".farsock.v1.Operation",
        ".farsock.v1.OutgoingMessage",
        ".farsock.v1.PollRequest",
        ".farsock.v1.SendMessagesRequest",
    ] {
        config.message_attribute(message, hash);
    }
    config.enum_attribute(".farsock.v1.Operation.request", hash);
    tonic_prost_build::configure()
        // An RPC named Connect would collide with the constructor that this generates.
        .build_transport(false)
        .bytes(".")
        .codec_path("crate::codec::CheckedCodec")
        .compile_fds_with_config(descriptors, config)?;
    Ok(())
}

/// The table of `proto/oneof.rs`: the messages that have a oneof, or hold such messages, by name upwards.
fn shapes(set: &FileDescriptorSet) -> String {
    let messages: BTreeMap<&str, &DescriptorProto> = set
        .file
        .iter()
        .filter(|file| file.package() == PACKAGE)
        .flat_map(|file| &file.message_type)
        .map(|message| (message.name(), message))
        .collect();
    let mut concerned: BTreeSet<&str> = BTreeSet::new();
    // Until no message is added any more: each holds only messages that are further down.
    loop {
        let before = concerned.len();
        for (name, message) in &messages {
            let mut fields = message.field.iter();
            if fields.any(|field| oneof(field).is_some() || inner(field, &concerned).is_some()) {
                concerned.insert(name);
            }
        }
        if concerned.len() == before {
            break;
        }
    }

    let mut table = String::from("static SHAPES: &[Shape] = &[\n");
    for name in &concerned {
        let fields: String = messages[name]
            .field
            .iter()
            .map(|field| (field, oneof(field), inner(field, &concerned)))
            .filter(|(_, oneof, inner)| oneof.is_some() || inner.is_some())
            .map(|(field, oneof, inner)| {
                format!(
                    "Field {{ number: {}, name: {:?}, repeated: {}, oneof: {oneof:?}, message: {inner:?} }},\n",
                    field.number(),
                    field.name(),
                    field.label() == Label::Repeated,
                )
            })
            .collect();
        table += &format!("Shape {{ name: {name:?}, fields: &[\n{fields}] }},\n");
    }
    table + "];\n"
}

/// The oneof that a field is a member of; an `optional` field is alone in one that nobody wrote.
fn oneof(field: &FieldDescriptorProto) -> Option<usize> {
    let index = field.oneof_index.filter(|_| !field.proto3_optional());
    index.map(|index| usize::try_from(index).expect("indices are not negative"))
}

/// Where the message that a field holds is among those concerned.
fn inner(field: &FieldDescriptorProto, concerned: &BTreeSet<&str>) -> Option<usize> {
    let name = field.type_name().strip_prefix(&format!(".{PACKAGE}."))?;
    concerned.iter().position(|concerned| *concerned == name)
}
