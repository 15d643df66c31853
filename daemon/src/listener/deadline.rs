//! The gRPC deadline: read from the header `grpc-timeout`, kept here, and told to the doors.

use std::{
    convert::Infallible,
    time::{Duration, Instant},
};

use http::{HeaderMap, Request, Response};
use tonic::{Status, body::Body};
use tower::{Service, ServiceExt};

/// When the caller stops waiting: an extension of each request that has a deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Deadline(pub(crate) Instant);

/// Calls the service and ends the call at its deadline: the handler's future is dropped and the caller told DEADLINE_EXCEEDED.
/// What a handler streams after the response's head is not bound by it; clients reset such a call by themselves.
pub(crate) async fn call<S, B>(
    service: S,
    mut request: Request<B>,
) -> Result<Response<Body>, Infallible>
where
    S: Service<Request<B>, Response = Response<Body>, Error = Infallible>,
{
    let Some(deadline) = deadline(request.headers()) else {
        return service.oneshot(request).await;
    };
    request.extensions_mut().insert(Deadline(deadline));
    match tokio::time::timeout_at(deadline.into(), service.oneshot(request)).await {
        Ok(answered) => answered,
        Err(_) => Ok(Status::deadline_exceeded("the call's deadline is over").into_http()),
    }
}

/// The instant that the headers ask for; `None` if there is none, it is malformed, or the clock cannot count so far.
fn deadline(headers: &HeaderMap) -> Option<Instant> {
    let value = headers.get("grpc-timeout")?.to_str().ok()?;
    Instant::now().checked_add(parse(value)?)
}

/// The grammar of gRPC over HTTP/2: 1 to 8 digits and a unit.
fn parse(value: &str) -> Option<Duration> {
    let unit = value.chars().last()?;
    let digits = value.strip_suffix(unit)?;
    // `u64::from_str` would take a sign.
    if !(1..=8).contains(&digits.len()) || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    Some(match unit {
        'H' => Duration::from_secs(count * 3600),
        'M' => Duration::from_secs(count * 60),
        'S' => Duration::from_secs(count),
        'm' => Duration::from_millis(count),
        'u' => Duration::from_micros(count),
        'n' => Duration::from_nanos(count),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::{
        future::pending,
        sync::{
            Arc,
            atomic::{AtomicBool, Ordering},
        },
    };

    use tower::service_fn;

    use super::*;

    #[test]
    fn every_unit_is_read() {
        for (value, duration) in [
            ("1H", Duration::from_secs(3600)),
            ("2M", Duration::from_secs(120)),
            ("3S", Duration::from_secs(3)),
            ("4m", Duration::from_millis(4)),
            ("5u", Duration::from_micros(5)),
            ("6n", Duration::from_nanos(6)),
            ("0S", Duration::ZERO),
            ("99999999H", Duration::from_secs(99_999_999 * 3600)),
        ] {
            assert_eq!(parse(value), Some(duration), "{value}");
        }
    }

    #[test]
    fn malformed_values_are_no_deadline() {
        for value in [
            "",
            "S",
            "1",
            "1s",
            "1h",
            "+1S",
            "-1S",
            "1.5S",
            "123456789S",
            "1 S",
            "1é",
        ] {
            assert_eq!(parse(value), None, "{value:?}");
        }
    }

    #[tokio::test]
    async fn at_the_deadline_the_handler_is_dropped_and_the_caller_told() {
        struct Dropped(Arc<AtomicBool>);
        impl Drop for Dropped {
            fn drop(&mut self) {
                self.0.store(true, Ordering::SeqCst);
            }
        }

        let dropped = Arc::new(AtomicBool::new(false));
        let guard = Dropped(Arc::clone(&dropped));
        let mut guard = Some(guard);
        let service = service_fn(move |request: Request<()>| {
            let guard = guard.take();
            async move {
                assert!(request.extensions().get::<Deadline>().is_some());
                let _guard = guard;
                pending::<Result<Response<Body>, Infallible>>().await
            }
        });
        let request = Request::builder()
            .header("grpc-timeout", "1m")
            .body(())
            .unwrap();
        let Ok(response) = call(service, request).await;
        assert!(dropped.load(Ordering::SeqCst));
        let status = Status::from_header_map(response.headers()).unwrap();
        assert_eq!(status.code(), tonic::Code::DeadlineExceeded);
    }

    #[tokio::test]
    async fn without_the_header_there_is_no_deadline() {
        let service = service_fn(|request: Request<()>| async move {
            assert!(request.extensions().get::<Deadline>().is_none());
            Ok::<_, Infallible>(Response::new(Body::empty()))
        });
        let Ok(response) = call(service, Request::new(())).await;
        assert!(response.headers().get("grpc-status").is_none());
    }
}
