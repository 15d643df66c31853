//! Compiles `proto/` into Rust and a descriptor set; protox needs no protoc on the machine.

use std::{env, error::Error, fs, path::PathBuf};

use prost::Message;

/// Every file of the API; a new one is added here.
const FILES: [&str; 10] = [
    "proto/farsock/v1/address.proto",
    "proto/farsock/v1/host_service.proto",
    "proto/farsock/v1/journal_service.proto",
    "proto/farsock/v1/message.proto",
    "proto/farsock/v1/operation.proto",
    "proto/farsock/v1/option.proto",
    "proto/farsock/v1/session_service.proto",
    "proto/farsock/v1/socket.proto",
    "proto/farsock/v1/socket_service.proto",
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
    tonic_prost_build::configure()
        // An RPC named Connect would collide with the constructor that this generates.
        .build_transport(false)
        .bytes(".")
        .compile_fds(descriptors)?;
    Ok(())
}
