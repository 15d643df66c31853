//! Server reflection, v1 and v1alpha: the API with its comments, as grpcurl and its like read it.

use std::{
    convert::Infallible,
    sync::{Arc, OnceLock},
    task::{Context, Poll},
};

use tonic::{body::Body, server::NamedService};
use tonic_reflection::server::{Builder, v1 as v1_server, v1alpha as v1alpha_server};
use tower::Service;

/// grpc.reflection.v1, which newer clients ask for.
pub(crate) fn v1() -> impl Reflection {
    Lazy::new(|| -> v1_server::ServerReflectionServer<_> {
        builder()
            .build_v1()
            .expect("the descriptor sets are built in")
    })
}

/// grpc.reflection.v1alpha, which older clients ask for.
pub(crate) fn v1alpha() -> impl Reflection {
    Lazy::new(|| -> v1alpha_server::ServerReflectionServer<_> {
        builder()
            .build_v1alpha()
            .expect("the descriptor sets are built in")
    })
}

/// A service that can be routed to.
pub(crate) trait Reflection:
    Service<
        http::Request<Body>,
        Response = http::Response<Body>,
        Error = Infallible,
        Future: Send + 'static,
    > + NamedService
    + Clone
    + Send
    + Sync
    + 'static
{
}

/// Every service of the daemon, and google.rpc's error details, which clients decode by these descriptors too.
fn builder() -> Builder<'static> {
    Builder::configure()
        .register_encoded_file_descriptor_set(farsock_proto::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET)
}

/// A service built when it is first called: indexing the descriptors takes longer than the rest of the daemon's start, and most
/// daemons are never asked.
struct Lazy<S> {
    service: Arc<OnceLock<S>>,
    build: fn() -> S,
}

impl<S> Lazy<S> {
    fn new(build: fn() -> S) -> Self {
        Self {
            service: Arc::new(OnceLock::new()),
            build,
        }
    }
}

impl<S> Clone for Lazy<S> {
    fn clone(&self) -> Self {
        Self {
            service: Arc::clone(&self.service),
            build: self.build,
        }
    }
}

impl<S> Service<http::Request<Body>> for Lazy<S>
where
    S: Service<http::Request<Body>, Error = Infallible> + Clone,
{
    type Response = S::Response;
    type Error = Infallible;
    type Future = S::Future;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        // The services that tonic generates are always ready.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        self.service.get_or_init(self.build).clone().call(request)
    }
}

impl<S: NamedService> NamedService for Lazy<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Reflection for Lazy<S> where
    S: Service<
            http::Request<Body>,
            Response = http::Response<Body>,
            Error = Infallible,
            Future: Send + 'static,
        > + NamedService
        + Clone
        + Send
        + Sync
        + 'static
{
}
