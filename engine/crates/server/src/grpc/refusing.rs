//! Refuses messages that there is no room for, and names the reason where tonic itself refuses one: too long, or no
//! protobuf (WIRE.md section 2).
//!
//! tonic decodes before our service sees the call, and its status alone would leave the order's outcome unknown.

use super::{
    arriving::{Arriving, Room},
    service::undecodable,
    status::refusal,
};
use std::{
    convert::Infallible,
    task::{Context, Poll},
};
use tonic::{
    Status,
    body::Body,
    codegen::{BoxFuture, Service, http},
    server::NamedService,
};

/// A service whose undecodable requests are answered with `x-reason`.
#[derive(Clone)]
pub struct Refusing<S> {
    /// The service.
    pub service: S,
    /// For messages that arrive.
    pub room: Room,
}

impl<S: NamedService> NamedService for Refusing<S> {
    const NAME: &'static str = S::NAME;
}

impl<S, B> Service<http::Request<B>> for Refusing<S>
where
    S: Service<http::Request<Arriving<B>>, Response = http::Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.service.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let room = self.room.clone();
        let response = self.service.call(request.map(|body| Arriving::new(body, room)));
        Box::pin(async move {
            let response = response.await?;
            // An error before the first message has its status on the headers.
            let status = Status::from_header_map(response.headers());
            Ok(match status.as_ref().and_then(undecodable) {
                Some(rejection) => refusal(&rejection).into_http(),
                None => response,
            })
        })
    }
}
