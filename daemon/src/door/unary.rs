//! The unary door: one RPC is one operation.

use std::sync::Arc;

use farsock_proto::{
    reason::{INSTANCE_METADATA, Reason},
    v1::{self, socket_service_server as server},
};
use tonic::{Code, Request, Response, Status};

use super::{status, verb::Verb};
use crate::{
    engine::{Engine, Owner},
    operation::{self, Context},
};

/// SocketService over an engine.
pub(crate) fn socket_service(engine: Arc<Engine>) -> server::SocketServiceServer<UnaryDoor> {
    server::SocketServiceServer::new(UnaryDoor { engine })
}

/// Translates unary RPCs to operations.
#[derive(Debug)]
pub(crate) struct UnaryDoor {
    engine: Arc<Engine>,
}

impl UnaryDoor {
    /// One RPC: check, convert, execute, convert back.
    async fn call<V: Verb>(&self, request: Request<V>) -> Result<Response<V::Response>, Status> {
        check_instance(&self.engine, request.metadata())?;
        let context = Context {
            engine: Arc::clone(&self.engine),
            owner: owner(request.extensions())?,
        };
        let mut request = request.into_inner();
        let operation = request
            .operation()
            .map_err(|violation| status::invalid(&violation))?;
        let output = operation::execute(&context, operation)
            .await
            .map_err(|error| status::status(&error))?;
        Ok(Response::new(request.response(output)))
    }
}

/// Whose connection a request came by.
pub(super) fn owner(extensions: &tonic::Extensions) -> Result<Owner, Status> {
    extensions
        .get::<Owner>()
        .copied()
        .ok_or_else(|| Status::internal("the listener did not say whose connection this is"))
}

/// Refuses a request for another daemon's handles.
pub(super) fn check_instance(
    engine: &Engine,
    metadata: &tonic::metadata::MetadataMap,
) -> Result<(), Status> {
    match metadata.get(INSTANCE_METADATA) {
        Some(id) if id.as_bytes() != engine.instance_id().as_bytes() => Err(status::daemon(
            Code::FailedPrecondition,
            Reason::InstanceChanged,
            format!(
                "the daemon was restarted: this is instance {}, and earlier handles are gone",
                engine.instance_id()
            ),
            None,
        )),
        _ => Ok(()),
    }
}

/// The generated trait wants a method a verb, and they are all the same.
macro_rules! verbs {
    ($($method:ident: $request:ident => $response:ident,)*) => {
        #[tonic::async_trait]
        impl server::SocketService for UnaryDoor {
            $(async fn $method(
                &self,
                request: Request<v1::$request>,
            ) -> Result<Response<v1::$response>, Status> {
                self.call(request).await
            })*
        }
    };
}

verbs! {
    create_socket: CreateSocketRequest => CreateSocketResponse,
    create_socket_pair: CreateSocketPairRequest => CreateSocketPairResponse,
    bind: BindRequest => BindResponse,
    listen: ListenRequest => ListenResponse,
    accept: AcceptRequest => AcceptResponse,
    connect: ConnectRequest => ConnectResponse,
    send: SendRequest => SendResponse,
    recv: RecvRequest => RecvResponse,
    send_to: SendToRequest => SendToResponse,
    recv_from: RecvFromRequest => RecvFromResponse,
    send_messages: SendMessagesRequest => SendMessagesResponse,
    recv_messages: RecvMessagesRequest => RecvMessagesResponse,
    shutdown: ShutdownRequest => ShutdownResponse,
    close: CloseRequest => CloseResponse,
    get_socket_name: GetSocketNameRequest => GetSocketNameResponse,
    get_peer_name: GetPeerNameRequest => GetPeerNameResponse,
    set_option: SetOptionRequest => SetOptionResponse,
    get_option: GetOptionRequest => GetOptionResponse,
    poll: PollRequest => PollResponse,
    get_socket: GetSocketRequest => GetSocketResponse,
    list_sockets: ListSocketsRequest => ListSocketsResponse,
}
