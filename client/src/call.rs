//! How every call reaches the daemon: one place for deadlines, metadata and errors.

use std::time::Duration;

use tonic::{client::Grpc, codegen::http::uri::PathAndQuery};
use tonic_prost::ProstCodec;

use farsock_proto::{Violation, reason::INSTANCE_METADATA};

use crate::{Client, Error, Result};

/// A request message: which RPC it belongs to, and what an error tells of it.
///
/// Calls are unary RPCs today. What else can carry a request has this one trait to extend, and no
/// verb to touch.
pub(crate) trait Rpc: prost::Message + 'static {
    /// The RPC's answer.
    type Response: prost::Message + Default + 'static;
    /// The RPC's path.
    const PATH: &'static str;
    /// The system call's name, for errors.
    const VERB: &'static str;

    /// The handle that the call is made on.
    fn handle(&self) -> Option<u64> {
        None
    }

    /// How long the request lets the daemon wait.
    fn wait(&self) -> Option<&prost_types::Duration> {
        None
    }
}

/// What was tried: the start of every error's text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tried {
    pub(crate) verb: &'static str,
    pub(crate) handle: Option<u64>,
}

impl Tried {
    pub(crate) fn of<R: Rpc>(request: &R) -> Self {
        Self {
            verb: R::VERB,
            handle: request.handle(),
        }
    }
}

impl Client {
    /// Makes one call and converts its answer.
    pub(crate) async fn ask<R: Rpc, T>(
        &self,
        request: R,
        convert: impl FnOnce(R::Response) -> Result<T, Violation>,
    ) -> Result<T> {
        let tried = Tried::of(&request);
        convert(self.call(request).await?)
            .map_err(|violation| Error::invalid_response(tried, violation))
    }

    /// Makes one call.
    pub(crate) async fn call<R: Rpc>(&self, request: R) -> Result<R::Response> {
        let tried = Tried::of(&request);
        let transport = self.transport();

        let mut outgoing = tonic::Request::new(request);
        if let Some(deadline) = deadline(transport.timeout, outgoing.get_ref().wait()) {
            outgoing.set_timeout(deadline);
        }
        if let Some(instance) = self.instance() {
            outgoing
                .metadata_mut()
                .insert(INSTANCE_METADATA, instance.clone());
        }

        let mut grpc = Grpc::new(transport.channel.clone())
            .max_decoding_message_size(transport.max_response_bytes);
        grpc.ready()
            .await
            .map_err(|error| Error::unreachable(tried, &error))?;
        grpc.unary(
            outgoing,
            PathAndQuery::from_static(R::PATH),
            ProstCodec::<R, R::Response>::default(),
        )
        .await
        .map(tonic::Response::into_inner)
        .map_err(|status| Error::from_status(tried, &status))
    }
}

/// The gRPC deadline of a call: the client's `timeout`, on top of what the request itself lets the
/// daemon wait, so that a wait that was asked for ends by the daemon's clock and with the daemon's
/// answer.
fn deadline(timeout: Option<Duration>, wait: Option<&prost_types::Duration>) -> Option<Duration> {
    let wait = wait
        .and_then(|wait| Duration::try_from(*wait).ok())
        .unwrap_or_default();
    timeout.map(|timeout| timeout.saturating_add(wait))
}

#[cfg(test)]
mod tests {
    use farsock_proto::{FILE_DESCRIPTOR_SET, time::duration_to_wire, v1};
    use prost::Message;

    use super::*;

    /// The paths of requests, which must be those of the API.
    macro_rules! paths {
        ($($request:ident),*) => {
            [$((<v1::$request as Rpc>::PATH, stringify!($request))),*]
        };
    }

    #[test]
    fn every_rpc_of_the_api_can_be_called_by_its_own_path() {
        let mut paths = paths![
            CreateSocketRequest,
            CreateSocketPairRequest,
            BindRequest,
            ListenRequest,
            AcceptRequest,
            ConnectRequest,
            SendRequest,
            RecvRequest,
            SendToRequest,
            RecvFromRequest,
            SendMessagesRequest,
            RecvMessagesRequest,
            ShutdownRequest,
            CloseRequest,
            GetSocketNameRequest,
            GetPeerNameRequest,
            SetOptionRequest,
            GetOptionRequest,
            PollRequest,
            GetSocketRequest,
            ListSocketsRequest,
            GetHostRequest,
            ListInterfacesRequest,
            ResolveRequest,
            GetClockRequest
        ]
        .map(|(path, request)| (path.to_owned(), format!(".farsock.v1.{request}")));
        paths.sort();

        let descriptors = prost_types::FileDescriptorSet::decode(FILE_DESCRIPTOR_SET)
            .expect("the API's own descriptors");
        let mut methods = Vec::new();
        for file in descriptors.file {
            for service in &file.service {
                for method in &service.method {
                    let path = format!("/{}.{}/{}", file.package(), service.name(), method.name());
                    methods.push((path, method.input_type().to_owned()));
                }
            }
        }
        methods.sort();
        assert_eq!(paths.as_slice(), methods);
    }

    #[test]
    fn a_call_has_no_deadline_unless_the_client_has_a_timeout() {
        let wait = duration_to_wire(Duration::from_secs(3));
        assert_eq!(deadline(None, None), None);
        assert_eq!(deadline(None, Some(&wait)), None);
    }

    #[test]
    fn a_wait_that_was_asked_for_comes_on_top_of_the_timeout() {
        let wait = duration_to_wire(Duration::from_secs(3));
        let timeout = Some(Duration::from_secs(2));
        assert_eq!(deadline(timeout, None), Some(Duration::from_secs(2)));
        assert_eq!(deadline(timeout, Some(&wait)), Some(Duration::from_secs(5)));
    }
}
