//! How every call reaches the daemon: one place for deadlines, metadata and errors.

use std::{sync::Arc, time::Duration};

use farsock_proto::{
    Violation,
    codec::MAX_MESSAGE_BYTES,
    reason::{INSTANCE_METADATA, SESSION_METADATA},
    v1::{self, operation::Request, operation_result::Outcome},
};
use futures_util::{FutureExt, future::Either};
use prost::Message as _;
use tonic::{Status, client::Grpc, codegen::http::uri::PathAndQuery};
use tonic_prost::ProstCodec;

use crate::{
    Client, Error, Result,
    scope::Scope,
    stream::{self, Ended, Stream},
};

/// A request message: which RPC it belongs to, and what an error tells of it.
///
/// A client with a session sends those that are operations on its stream, and all others as unary
/// RPCs; a client without sends all of them as unary RPCs.
pub(crate) trait Rpc: prost::Message + Sized + 'static {
    /// The RPC's answer.
    type Response: prost::Message + Default + 'static;
    /// The RPC's path.
    const PATH: &'static str;
    /// The system call's name, for errors.
    const VERB: &'static str;
    /// How a session's stream carries it; none for what is no operation on sockets.
    const CARRIED: Option<Carried<Self>> = None;

    /// The handle that the call is made on.
    fn handle(&self) -> Option<u64> {
        None
    }

    /// How long the request lets the daemon wait.
    fn wait(&self) -> Option<&prost_types::Duration> {
        None
    }
}

/// How a request is carried by a session's stream.
pub(crate) struct Carried<R: Rpc> {
    /// The request as an operation.
    pub(crate) wrap: fn(R) -> Request,
    /// The answer, if the operation's outcome is one.
    pub(crate) unwrap: fn(Outcome) -> Option<R::Response>,
}

/// The member of `Operation` and `OperationResult` that carries a request and its answer.
macro_rules! carried {
    ($member:ident) => {
        Some(crate::call::Carried {
            wrap: farsock_proto::v1::operation::Request::$member,
            unwrap: |outcome| match outcome {
                farsock_proto::v1::operation_result::Outcome::$member(response) => Some(response),
                _ => None,
            },
        })
    };
}
pub(crate) use carried;

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

    /// Whether the text names the call already, and with more than is known here: "connect 127.0.0.1:80 on handle 3: ...".
    pub(crate) fn is_subject_of(&self, text: &str) -> bool {
        let Some((subject, _)) = text.split_once(": ") else {
            return false;
        };
        match self.handle {
            Some(handle) => subject.ends_with(&format!(" on handle {handle}")),
            None => subject
                .strip_prefix(self.verb)
                .is_some_and(|rest| rest.starts_with(' ')),
        }
    }
}

impl Client {
    /// Makes one call and converts its answer.
    pub(crate) fn ask<R: Rpc, T>(
        &self,
        request: R,
        convert: impl FnOnce(R::Response) -> Result<T, Violation>,
    ) -> impl Future<Output = Result<T>> {
        let tried = Tried::of(&request);
        self.call(request).map(move |response| {
            convert(response?).map_err(|violation| Error::invalid_response(tried, violation))
        })
    }

    /// Makes one call.
    ///
    /// As all that is around an operation, no `async fn`: each of those would hold the request twice, and there may be thousands.
    pub(crate) fn call<R: Rpc>(&self, request: R) -> impl Future<Output = Result<R::Response>> {
        match (self.stream(), R::CARRIED) {
            (Some(stream), Some(carried)) => Either::Left(self.operate(stream, carried, request)),
            // Seldom, and much larger than an operation, whose size this would be.
            _ => Either::Right(Box::pin(self.unary(request))),
        }
    }

    fn operate<R: Rpc>(
        &self,
        stream: &Stream,
        carried: Carried<R>,
        request: R,
    ) -> impl Future<Output = Result<R::Response>> {
        let tried = Tried::of(&request);
        let deadline = deadline(self.transport().timeout, request.wait())
            .map(|deadline| deadline.saturating_add(Scope::until_start()));
        let operation = run(stream, tried, (carried.wrap)(request));
        let operation = match deadline {
            None => Either::Left(operation),
            // Past it the operation is dropped, and so cancelled.
            Some(deadline) => Either::Right(Box::pin(async move {
                let ended = tokio::time::timeout(deadline, operation).await;
                ended.map_err(|_| Error::from_status(tried, &Status::deadline_exceeded("")))?
            })),
        };
        operation.map(move |outcome| {
            (carried.unwrap)(outcome?).ok_or_else(|| {
                Error::invalid_response(tried, Violation::new("result", "is another call's"))
            })
        })
    }

    async fn unary<R: Rpc>(&self, request: R) -> Result<R::Response> {
        let tried = Tried::of(&request);
        let transport = self.transport();
        if let Some(why) = stream::too_long(request.encoded_len(), MAX_MESSAGE_BYTES) {
            return Err(Error::from_status(tried, &why));
        }

        let mut outgoing = tonic::Request::new(request);
        if let Some(deadline) = deadline(transport.timeout, outgoing.get_ref().wait()) {
            outgoing.set_timeout(deadline);
        }
        if let Some(instance) = self.instance() {
            outgoing
                .metadata_mut()
                .insert(INSTANCE_METADATA, instance.clone());
        }
        if let Some(session) = self.joined() {
            outgoing
                .metadata_mut()
                .insert(SESSION_METADATA, session.clone());
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

/// Carries out an operation on a session's stream.
#[expect(
    clippy::manual_async_fn,
    reason = "an async fn would hold the request twice"
)]
fn run(stream: &Stream, tried: Tried, request: Request) -> impl Future<Output = Result<Outcome>> {
    async move {
        let scope = Scope::current();
        let extras = scope.as_deref().map(Scope::extras).unwrap_or_default();
        let pending = stream.ask(request, extras);
        if let Some(scope) = &scope {
            scope.started(pending.id());
        }
        outcome_of(tried, pending.await, scope)
    }
}

/// The outcome of an operation that has ended, if it is no error.
pub(crate) fn outcome_of(tried: Tried, ended: Ended, scope: Option<Arc<Scope>>) -> Result<Outcome> {
    match ended {
        Ended::Result {
            outcome,
            timing,
            receipt,
        } => {
            match (&scope, receipt) {
                (Some(scope), receipt) => scope.hold(receipt),
                (None, Some(receipt)) => receipt.accept(),
                (None, None) => {}
            }
            // What cannot be decoded is no timing.
            if let Some(scope) = scope
                && let Ok(timing) = v1::OperationTiming::decode(timing)
            {
                scope.ended(timing);
            }
            match *outcome {
                Outcome::Error(error) => Err(Error::from_status(tried, &stream::status_of(error))),
                outcome => Ok(outcome),
            }
        }
        Ended::Refused(status) | Ended::Lost(status) => Err(Error::from_status(tried, &status)),
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
            SpliceRequest,
            GetHostRequest,
            ListInterfacesRequest,
            ResolveRequest,
            GetClockRequest,
            OpenSessionRequest,
            RenewSessionRequest,
            CloseSessionRequest,
            ListSessionsRequest
        ]
        .map(|(path, request)| (path.to_owned(), format!(".farsock.v1.{request}")));
        paths.sort();

        let descriptors = prost_types::FileDescriptorSet::decode(FILE_DESCRIPTOR_SET)
            .expect("the API's own descriptors");
        let mut methods = Vec::new();
        for file in descriptors.file {
            for service in &file.service {
                // What streams is no call.
                let unary = |m: &&prost_types::MethodDescriptorProto| {
                    !m.client_streaming() && !m.server_streaming()
                };
                for method in service.method.iter().filter(unary) {
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
