//! The unary door: one RPC is one operation.

use std::sync::Arc;

use farsock_proto::{
    Violation,
    reason::{
        ACKNOWLEDGE_METADATA, INSTANCE_METADATA, REQUEST_ID_METADATA, Reason, SESSION_METADATA,
    },
    v1::{self, operation_result::Outcome, socket_service_server as server},
};
use tonic::{Request, Response, Status, metadata::MetadataMap};

use super::{
    session::{self, ApiSessions},
    status,
    verb::any::{self, Wrapped},
};
use crate::{
    engine::{Engine, Owner},
    error::Error,
    listener::calls::Companions,
    operation::{self, Context},
    session::Refusal,
};

/// SocketService over an engine.
pub(crate) fn socket_service(
    engine: Arc<Engine>,
    sessions: Arc<ApiSessions>,
) -> server::SocketServiceServer<UnaryDoor> {
    server::SocketServiceServer::new(UnaryDoor { engine, sessions })
}

/// Translates unary RPCs to operations.
#[derive(Debug)]
pub(crate) struct UnaryDoor {
    engine: Arc<Engine>,
    sessions: Arc<ApiSessions>,
}

impl UnaryDoor {
    /// One RPC: check, convert, execute, convert back.
    async fn call<V: Wrapped>(&self, request: Request<V>) -> Result<Response<V::Response>, Status> {
        let metadata = request.metadata();
        check_instance(&self.engine, metadata)?;
        let owner = owner(request.extensions())?;
        let membership =
            Membership::from_metadata(metadata).map_err(|violation| status::invalid(&violation))?;
        let session = membership
            .session_id
            .map(|id| session::find(&self.sessions, id, owner))
            .transpose()?;
        // However long it waits: its client is there, or its connection would end.
        let _open = session.as_ref().map(|session| session.begin_call());
        let context = Context {
            engine: Arc::clone(&self.engine),
            owner,
            session: session.as_ref().map(|session| Arc::clone(&session.block)),
            request_id: None,
            watch: None,
        };
        if let Some(session) = &session {
            if let Some((id, refusal)) = session.acknowledge(&membership.acknowledged).first() {
                return Err(session::refused(*id, *refusal));
            }
            if let Some(id) = membership.request_id {
                return once(&context, session, id, request.into_inner()).await;
            }
        }

        let mut request = request.into_inner();
        let operation = request
            .operation()
            .map_err(|violation| status::invalid(&violation))?;
        let outcome = operation::execute(&context, operation);
        let outcome = match &session {
            Some(session) => tokio::select! {
                // What has happened counts.
                biased;
                outcome = outcome => outcome,
                () = session.over() => Err(Error::SessionExpired),
            },
            None => outcome.await,
        };
        let output = outcome.map_err(|error| status::status(&error))?;
        Ok(Response::new(request.response(output)))
    }
}

/// A unary call under a request id: the same promise as on the stream.
async fn once<V: Wrapped>(
    context: &Context,
    session: &Arc<session::ApiSession>,
    id: u64,
    request: V,
) -> Result<Response<V::Response>, Status> {
    let start = v1::StartOperation {
        request_id: id,
        operation: Some(v1::Operation {
            request: Some(request.wrap()),
        }),
        ..Default::default()
    };
    let ended = session
        .perform(session::order(context, start))
        .await
        .map_err(|refusal| session::refused(id, refusal))?
        .ok_or_else(|| status::status(&Error::SessionExpired))?;
    match ended.result.and_then(|result| result.outcome) {
        Some(Outcome::Error(error)) => Err(any::status_of(error)),
        Some(outcome) => V::unwrap(outcome)
            .map(Response::new)
            .ok_or_else(|| session::refused(id, Refusal::Mismatch)),
        None => Err(Status::internal("an operation ended without an outcome")),
    }
}

/// What a unary call's metadata says of its session.
#[derive(Debug, Default)]
struct Membership<'a> {
    session_id: Option<&'a str>,
    request_id: Option<u64>,
    acknowledged: Vec<u64>,
}

impl<'a> Membership<'a> {
    fn from_metadata(metadata: &'a MetadataMap) -> Result<Self, Violation> {
        let text = |key: &'static str| {
            metadata
                .get(key)
                .map(|value| value.to_str())
                .transpose()
                .map_err(|_not_ascii| Violation::new(key, "is not text"))
        };
        let number = |key: &'static str, text: &str| {
            text.trim()
                .parse()
                .map_err(|_not_a_number| Violation::new(key, "is not a request id"))
        };
        let this = Self {
            session_id: text(SESSION_METADATA)?,
            request_id: text(REQUEST_ID_METADATA)?
                .map(|id| number(REQUEST_ID_METADATA, id))
                .transpose()?,
            acknowledged: match text(ACKNOWLEDGE_METADATA)? {
                Some(ids) => ids
                    .split(',')
                    .map(|id| number(ACKNOWLEDGE_METADATA, id))
                    .collect::<Result<_, _>>()?,
                None => Vec::new(),
            },
        };
        if this.session_id.is_none() && (this.request_id.is_some() || !this.acknowledged.is_empty())
        {
            return Err(Violation::new(
                SESSION_METADATA,
                "is missing: request ids are a session's",
            ));
        }
        Ok(this)
    }
}

/// Whose connection a request came by.
pub(super) fn owner(extensions: &tonic::Extensions) -> Result<Owner, Status> {
    extensions
        .get::<Owner>()
        .copied()
        .ok_or_else(|| Status::internal("the listener did not say whose connection this is"))
}

/// What lets the call of a request have companions.
pub(super) fn companions(extensions: &tonic::Extensions) -> Result<Companions, Status> {
    extensions
        .get::<Companions>()
        .cloned()
        .ok_or_else(|| Status::internal("the listener did not say which connection this is"))
}

/// Refuses a request for another daemon's handles.
pub(super) fn check_instance(engine: &Engine, metadata: &MetadataMap) -> Result<(), Status> {
    match metadata.get(INSTANCE_METADATA) {
        Some(id) if id.as_bytes() != engine.instance_id().as_bytes() => Err(status::daemon(
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
    splice: SpliceRequest => SpliceResponse,
}
