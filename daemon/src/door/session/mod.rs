//! The door of SessionService: sessions, and the stream of operations in `operate.rs`.

mod operate;

pub(super) use operate::order;

use std::sync::Arc;

use farsock_proto::{
    Violation, time,
    v1::{self, session_service_server as server},
};
use tonic::{Request, Response, Status, Streaming};

use super::{
    status,
    unary::{check_instance, companions, owner},
};
use crate::{
    engine::{Engine, Owner},
    session::{LIMITS, OnExpiry, Refusal, Session, Sessions, Terms},
    table::BLOCK,
};

/// The sessions of this API: their results are its messages.
pub(crate) type ApiSessions = Sessions<v1::OperationEnded>;
pub(super) type ApiSession = Session<v1::OperationEnded>;

/// The lease if the client names none, and what it may name.
const DEFAULT_LEASE: std::time::Duration = std::time::Duration::from_secs(30);
const MIN_LEASE: std::time::Duration = std::time::Duration::from_secs(1);
const MAX_LEASE: std::time::Duration = std::time::Duration::from_secs(3600);
/// The longest label in bytes.
const MAX_LABEL: usize = 256;
/// The page if the request names no size, and the largest.
const DEFAULT_PAGE: usize = 100;
const MAX_PAGE: usize = 1000;

/// SessionService over an engine.
pub(crate) fn session_service(
    engine: Arc<Engine>,
    sessions: Arc<ApiSessions>,
) -> server::SessionServiceServer<SessionDoor> {
    server::SessionServiceServer::new(SessionDoor { engine, sessions })
}

/// Translates RPCs to sessions.
#[derive(Debug)]
pub(crate) struct SessionDoor {
    engine: Arc<Engine>,
    sessions: Arc<ApiSessions>,
}

#[tonic::async_trait]
impl server::SessionService for SessionDoor {
    type OperateStream = operate::Responses;

    async fn open_session(
        &self,
        request: Request<v1::OpenSessionRequest>,
    ) -> Result<Response<v1::OpenSessionResponse>, Status> {
        check_instance(&self.engine, request.metadata())?;
        let owner = owner(request.extensions())?;
        let terms =
            terms(owner, request.into_inner()).map_err(|violation| status::invalid(&violation))?;
        let session = self
            .sessions
            .open(terms)
            .map_err(|error| status::status(&error))?;
        Ok(Response::new(v1::OpenSessionResponse {
            session_id: session.block.session_id().to_owned(),
            first_handle: session.block.first(),
            handle_count: BLOCK,
            lease: Some(time::duration_to_wire(session.terms.lease)),
            max_in_flight: u32::try_from(LIMITS.in_flight).unwrap_or(u32::MAX),
            max_results: u32::try_from(LIMITS.results).unwrap_or(u32::MAX),
            max_result_bytes: LIMITS.bytes as u64,
            instance_id: self.engine.instance_id().to_owned(),
        }))
    }

    async fn renew_session(
        &self,
        request: Request<v1::RenewSessionRequest>,
    ) -> Result<Response<v1::RenewSessionResponse>, Status> {
        let session = self.session(&request, &request.get_ref().session_id)?;
        let expire_time = std::time::SystemTime::now() + session.lease_left();
        Ok(Response::new(v1::RenewSessionResponse {
            expire_time: Some(time::timestamp_to_wire(expire_time)),
        }))
    }

    async fn close_session(
        &self,
        request: Request<v1::CloseSessionRequest>,
    ) -> Result<Response<v1::CloseSessionResponse>, Status> {
        let session = self.session(&request, &request.get_ref().session_id)?;
        let closed = self.sessions.close(&session, request.get_ref().abort).await;
        Ok(Response::new(v1::CloseSessionResponse {
            closed_sockets: u32::try_from(closed).unwrap_or(u32::MAX),
        }))
    }

    async fn list_sessions(
        &self,
        request: Request<v1::ListSessionsRequest>,
    ) -> Result<Response<v1::ListSessionsResponse>, Status> {
        let owner = owner(request.extensions())?;
        let (after, count) = page(request.get_ref()).map_err(|v| status::invalid(&v))?;
        let (sessions, more) = self.sessions.page(owner, after, count);
        let next_page_token = match sessions.last() {
            Some(last) if more => last.block.first().to_string(),
            _ => String::new(),
        };
        Ok(Response::new(v1::ListSessionsResponse {
            sessions: sessions.iter().map(|session| describe(session)).collect(),
            next_page_token,
        }))
    }

    async fn operate(
        &self,
        request: Request<Streaming<v1::OperateRequest>>,
    ) -> Result<Response<operate::Responses>, Status> {
        check_instance(&self.engine, request.metadata())?;
        let owner = owner(request.extensions())?;
        let companions = companions(request.extensions())?;
        let responses = operate::attach(
            &self.engine,
            &self.sessions,
            owner,
            &companions,
            request.into_inner(),
        )
        .await?;
        Ok(Response::new(responses))
    }
}

impl SessionDoor {
    /// The caller's session, renewed.
    fn session<T>(&self, request: &Request<T>, id: &str) -> Result<Arc<ApiSession>, Status> {
        check_instance(&self.engine, request.metadata())?;
        find(&self.sessions, id, owner(request.extensions())?)
    }
}

/// The owner's session of that id, renewed.
pub(super) fn find(
    sessions: &ApiSessions,
    id: &str,
    owner: Owner,
) -> Result<Arc<ApiSession>, Status> {
    sessions
        .get(id, owner)
        .filter(|session| session.renew())
        .ok_or_else(status::no_session)
}

/// A session as the API tells it.
fn describe(session: &ApiSession) -> v1::Session {
    let (in_flight, kept) = session.load();
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    v1::Session {
        session_id: session.block.session_id().to_owned(),
        label: session.terms.label.clone(),
        lease: Some(time::duration_to_wire(session.terms.lease)),
        lease_left: Some(time::duration_to_wire(session.lease_left())),
        on_expiry: match session.terms.on_expiry {
            OnExpiry::Close => v1::OnExpiry::Close,
            OnExpiry::Abort => v1::OnExpiry::Abort,
        }
        .into(),
        create_time: Some(time::timestamp_to_wire(session.create_time)),
        attached: session.is_attached(),
        sockets: count(session.block.sockets()),
        in_flight: count(in_flight),
        kept_results: count(kept),
    }
}

/// The status of a message that a session refused.
pub(super) fn refused(id: u64, refusal: Refusal) -> Status {
    use farsock_proto::reason::Reason;
    let (reason, what) = match refusal {
        Refusal::Zero => {
            return status::invalid(&Violation::new("request_id", "is 0: ids count from 1"));
        }
        Refusal::Mismatch => (Reason::RequestMismatch, "belongs to another operation"),
        Refusal::Forgotten => (
            Reason::RequestForgotten,
            "was acknowledged: its result is gone",
        ),
        Refusal::Unknown => (
            Reason::RequestUnknown,
            "names, or follows, an operation that is not known",
        ),
        Refusal::InFlightFull => (
            Reason::QuotaExceeded,
            "is one operation more than may be in flight",
        ),
        Refusal::ResultsFull => (
            Reason::ResultsFull,
            "has no room for its result: acknowledge earlier ones",
        ),
    };
    status::daemon(reason, format!("request {id} {what}"), None)
}

fn terms(owner: Owner, request: v1::OpenSessionRequest) -> Result<Terms, Violation> {
    let lease = match request.lease {
        Some(lease) => time::duration_from_wire(lease).map_err(|v| v.within("lease"))?,
        None => DEFAULT_LEASE,
    };
    if !(MIN_LEASE..=MAX_LEASE).contains(&lease) {
        return Err(Violation::new(
            "lease",
            format!("{lease:?} is not within 1 s to 1 h"),
        ));
    }
    let on_expiry = match v1::OnExpiry::try_from(request.on_expiry) {
        Ok(v1::OnExpiry::Unspecified | v1::OnExpiry::Close) => OnExpiry::Close,
        Ok(v1::OnExpiry::Abort) => OnExpiry::Abort,
        Err(_unknown) => {
            let description = format!("{} is not an OnExpiry", request.on_expiry);
            return Err(Violation::new("on_expiry", description));
        }
    };
    if request.label.len() > MAX_LABEL {
        return Err(Violation::new(
            "label",
            format!("is over {MAX_LABEL} bytes"),
        ));
    }
    Ok(Terms {
        owner,
        lease,
        on_expiry,
        label: request.label,
    })
}

fn page(request: &v1::ListSessionsRequest) -> Result<(u64, usize), Violation> {
    let size = super::verb::page_size(request.page_size, DEFAULT_PAGE, MAX_PAGE)?;
    let after = match request.page_token.as_str() {
        "" => 0,
        token => token.parse().map_err(|_not_a_number| {
            Violation::new("page_token", "is not a next_page_token of this call")
        })?,
    };
    Ok((after, size))
}
