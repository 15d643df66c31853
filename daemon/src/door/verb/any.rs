//! Any verb, as a session's stream carries it: an operation message becomes a job, and its outcome a result message.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use farsock_proto::{
    Violation, time,
    v1::{
        self, OperationEnded, OperationError, OperationResult, OperationTiming, operation::Request,
        operation_result::Outcome,
    },
};
use prost::Message as _;
use tonic::Status;
use tonic_types::pb;

use super::Verb;
use crate::{
    door::status,
    error::Error,
    operation::{self, Clocks, Context, Operation, Weighed},
    session::{Finished, Job, NotRun},
    socket::Watch,
};

/// Room for the result of an operation that does not come to run.
const ERROR_ROOM: usize = 1024;

/// How far the timer is from the clock: it counts milliseconds, and a core that sleeps wakes late. What is scheduled is awake for the
/// last of the time, so that hosts whose clocks agree start together.
const TIMER: Duration = Duration::from_millis(2);

/// What a stream or a unary call asks of a session.
pub(in crate::door) struct Order {
    pub(in crate::door) id: u64,
    pub(in crate::door) start_time: Option<SystemTime>,
    pub(in crate::door) notify_waiting: bool,
}

/// The job of an order, and how many bytes its result may take. A malformed operation makes a job that ends with the violation.
pub(in crate::door) fn job(
    context: Context,
    order: Order,
    request: Option<Request>,
) -> (usize, Job<OperationEnded>) {
    let Some(request) = request else {
        return malformed(
            order,
            Violation::new("operation", "is missing: give one call's request"),
        );
    };
    by_verb(context, order, request)
}

/// The verbs: which member of the wire's oneofs is which request and response.
macro_rules! verbs {
    ($($variant:ident: $request:ident => $response:ident,)*) => {
        fn by_verb(
            context: Context,
            order: Order,
            request: Request,
        ) -> (usize, Job<OperationEnded>) {
            match request {
                $(Request::$variant(request) => {
                    prepare::<v1::$request>(context, order, request, Outcome::$variant)
                })*
            }
        }

        /// What a request asks for, and no more of it.
        #[cfg(fuzzing)]
        pub(super) fn converted(request: Request) -> Result<(), Violation> {
            match request {
                $(Request::$variant(mut request) => request.operation().map(drop)),*
            }
        }

        $(impl Wrapped for v1::$request {
            fn wrap(self) -> Request {
                Request::$variant(self)
            }

            fn unwrap(outcome: Outcome) -> Option<v1::$response> {
                match outcome {
                    Outcome::$variant(response) => Some(response),
                    _ => None,
                }
            }
        })*
    };
}

/// A verb's request and response as members of the wire's oneofs.
pub(in crate::door) trait Wrapped: Verb {
    /// The request.
    fn wrap(self) -> Request;

    /// The response, if it is this verb's.
    fn unwrap(outcome: Outcome) -> Option<Self::Response>;
}

verbs! {
    CreateSocket: CreateSocketRequest => CreateSocketResponse,
    CreateSocketPair: CreateSocketPairRequest => CreateSocketPairResponse,
    Bind: BindRequest => BindResponse,
    Listen: ListenRequest => ListenResponse,
    Accept: AcceptRequest => AcceptResponse,
    Connect: ConnectRequest => ConnectResponse,
    Send: SendRequest => SendResponse,
    Recv: RecvRequest => RecvResponse,
    SendTo: SendToRequest => SendToResponse,
    RecvFrom: RecvFromRequest => RecvFromResponse,
    SendMessages: SendMessagesRequest => SendMessagesResponse,
    RecvMessages: RecvMessagesRequest => RecvMessagesResponse,
    Shutdown: ShutdownRequest => ShutdownResponse,
    Close: CloseRequest => CloseResponse,
    GetSocketName: GetSocketNameRequest => GetSocketNameResponse,
    GetPeerName: GetPeerNameRequest => GetPeerNameResponse,
    SetOption: SetOptionRequest => SetOptionResponse,
    GetOption: GetOptionRequest => GetOptionResponse,
    Poll: PollRequest => PollResponse,
    GetSocket: GetSocketRequest => GetSocketResponse,
    ListSockets: ListSocketsRequest => ListSocketsResponse,
    Splice: SpliceRequest => SpliceResponse,
}

fn prepare<V: Verb + 'static>(
    context: Context,
    order: Order,
    mut request: V,
    wrap: fn(V::Response) -> Outcome,
) -> (usize, Job<OperationEnded>)
where
    V::Operation: 'static,
{
    let operation = match request.operation() {
        Ok(operation) => operation,
        Err(violation) => return malformed(order, violation),
    };
    let room = operation.room();
    let operation = match Weighed::new(&context.engine, operation) {
        Ok(operation) => operation,
        Err(error) => return refused(order.id, &status::status(&error)),
    };
    let Order {
        id,
        start_time,
        notify_waiting,
    } = order;
    let run = |watch: Arc<Watch>| {
        let context = Context {
            request_id: Some(id),
            watch: Some(Arc::clone(&watch)),
            ..context
        };
        async move {
            let late = match start_time {
                Some(time) => match delay(time, &watch).await {
                    Some(late) => Some(late),
                    None => return not_run(id, NotRun::Cancelled),
                },
                None => None,
            };
            let start = Clocks::now();
            let outcome = match operation::execute_weighed(&context, operation).await {
                Ok(output) => wrap(request.response(output)),
                Err(error) => Outcome::Error(failure(&status::status(&error))),
            };
            let timing = OperationTiming {
                start_time: Some(time::timestamp_to_wire(start.realtime)),
                start: Some(time::duration_to_wire(start.monotonic)),
                end: Some(time::duration_to_wire(crate::sys::host::monotonic())),
                waited: Some(time::duration_to_wire(watch.waited())),
                late: late.map(time::duration_to_wire),
            };
            finished(id, outcome, Some(timing))
        }
    };
    let job = Job::new(run, not_run, notify_waiting);
    (room, job)
}

/// Waits until `time`, however often the clock is set; how late that was, or none if the operation was cancelled before.
async fn delay(time: SystemTime, watch: &Watch) -> Option<Duration> {
    loop {
        let now = SystemTime::now();
        match time.duration_since(now) {
            Ok(ahead) if ahead > TIMER => tokio::select! {
                () = tokio::time::sleep(ahead - TIMER) => {}
                () = watch.cancelled() => return None,
            },
            Ok(ahead) if ahead > Duration::ZERO => {
                if watch.is_cancelled() {
                    return None;
                }
                // The others have their turns, and then it is looked at the clock again.
                tokio::task::yield_now().await;
            }
            Ok(_) | Err(_) => return Some(now.duration_since(time).unwrap_or_default()),
        }
    }
}

/// A job that ends with what is wrong with its request.
pub(in crate::door) fn malformed(
    order: Order,
    violation: Violation,
) -> (usize, Job<OperationEnded>) {
    refused(order.id, &status::invalid(&violation))
}

/// A job that ends with why its operation is none.
fn refused(id: u64, why: &Status) -> (usize, Job<OperationEnded>) {
    let finished = finished(id, Outcome::Error(failure(why)), None);
    let job = Job::new(|_| std::future::ready(finished), not_run, false);
    (ERROR_ROOM, job)
}

/// How an operation ends that does not run.
fn not_run(id: u64, why: NotRun) -> Finished<OperationEnded> {
    let error = match why {
        NotRun::DependencyFailed(before) => Error::DependencyFailed(before),
        NotRun::Cancelled => Error::Cancelled(crate::error::Call::new("request").with(id)),
    };
    let outcome = Outcome::Error(failure(&status::status(&error)));
    finished(id, outcome, None)
}

fn finished(
    id: u64,
    outcome: Outcome,
    timing: Option<OperationTiming>,
) -> Finished<OperationEnded> {
    let succeeded = !matches!(outcome, Outcome::Error(_));
    let result = OperationEnded {
        request_id: id,
        result: Some(OperationResult {
            outcome: Some(outcome),
        }),
        timing,
    };
    Finished {
        bytes: result.encoded_len(),
        succeeded,
        result,
    }
}

/// A status as a message.
pub(in crate::door) fn failure(status: &Status) -> OperationError {
    // The details are a google.rpc.Status, as `status` made them.
    let details = pb::Status::decode(status.details())
        .map(|status| status.details)
        .unwrap_or_default();
    OperationError {
        code: status.code().into(),
        message: status.message().to_owned(),
        details,
    }
}

/// The status that a message holds.
pub(in crate::door) fn status_of(error: OperationError) -> Status {
    let details = pb::Status {
        code: error.code,
        message: error.message.clone(),
        details: error.details,
    };
    Status::with_details(
        error.code.into(),
        error.message,
        details.encode_to_vec().into(),
    )
}
