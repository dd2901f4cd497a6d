//! Who asks, and whether they may.

use std::sync::{Arc, LazyLock};
use std::time::{Instant, SystemTime};

use cidbucket_access::{Authorizer, Capability, Operation, Operations, RateLimiter, Refused};
use cidbucket_direct::{Code, Problem};
use http::{HeaderMap, header};

use crate::failure;

/// Whoever reads without a token, where that is public.
static ANYBODY: LazyLock<Arc<Capability>> = LazyLock::new(|| {
    let operations = Operations {
        read: true,
        ..Operations::default()
    };
    Arc::new(Capability::new("", "", operations))
});

/// Decides what a request may do.
#[derive(Debug)]
pub(crate) struct Doorkeeper {
    pub(crate) authorizer: Arc<dyn Authorizer>,
    pub(crate) limiter: RateLimiter,
    pub(crate) public_reads: bool,
}

impl Doorkeeper {
    /// Who asks, if they may do `operation` now.
    pub(crate) async fn admit(
        &self,
        headers: &HeaderMap,
        operation: Operation,
    ) -> Result<Arc<Capability>, Problem> {
        let bearer = bearer(headers).map_err(|refused| failure::refused(&refused))?;
        if bearer.is_none() && self.public_reads && operation == Operation::Read {
            return Ok(Arc::clone(&ANYBODY));
        }
        let capability = self
            .authorizer
            .authorize(bearer, SystemTime::now())
            .await
            .map_err(|refused| failure::refused(&refused))?;
        if !capability.allows(operation) {
            return Err(Problem::new(
                Code::Denied,
                format!("the token does not allow to {operation}"),
            ));
        }
        if let Err(wait) = self.limiter.take(&capability, Instant::now()) {
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            return Err(
                Problem::new(Code::Rate, "too many requests with this token").after(seconds.max(1)),
            );
        }
        Ok(capability)
    }

    /// Whether the bearer of a good token has blocks of their own.
    pub(crate) async fn is_tenant(&self, headers: &HeaderMap) -> bool {
        let Ok(Some(bearer)) = bearer(headers) else {
            return false;
        };
        let now = SystemTime::now();
        let capability = self.authorizer.authorize(Some(bearer), now).await;
        capability.is_ok_and(|capability| capability.tenant.is_some())
    }
}

/// The token of a request, if it has one.
fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Refused> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => {
            let value = value.to_str().map_err(|_| Refused::Missing)?;
            cidbucket_access::bearer(value).map(Some)
        }
        // Two readers could take different ones.
        (Some(_), Some(_)) => Err(Refused::Missing),
    }
}
