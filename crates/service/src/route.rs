//! Which path is what, and what can be done there. Pure.

use http::Method;

/// What a path names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route<'a> {
    /// `/v1/info`.
    Info,
    /// `/v1/reads`.
    Reads,
    /// `/v1/writes`.
    Writes,
    /// `/v1/writes/{lease}/complete`.
    Complete(&'a str),
    /// `/v1/blocks`.
    Blocks,
    /// `/v1/blocks/{cid}`.
    Block(&'a str),
    /// `/healthz`: the process runs.
    Healthz,
    /// `/readyz`: it can serve.
    Readyz,
    /// `/metrics`.
    Metrics,
    /// `/ipfs/{cid}`, and whatever is asked of a host that names a CID.
    Gateway,
    /// Anything else: a file of the page, or nothing.
    File(&'a str),
}

impl<'a> Route<'a> {
    pub(crate) fn of(path: &'a str) -> Self {
        match path {
            "/v1/info" => Self::Info,
            "/v1/reads" => Self::Reads,
            "/v1/writes" => Self::Writes,
            "/v1/blocks" => Self::Blocks,
            "/healthz" => Self::Healthz,
            "/readyz" => Self::Readyz,
            "/metrics" => Self::Metrics,
            _ => {
                if let Some(cid) = path.strip_prefix("/v1/blocks/").filter(is_segment) {
                    return Self::Block(cid);
                }
                let lease = path
                    .strip_prefix("/v1/writes/")
                    .and_then(|rest| rest.strip_suffix("/complete"))
                    .filter(is_segment);
                lease.map_or(Self::File(path), Self::Complete)
            }
        }
    }

    /// The paths with their variables' names, for logs and metrics: there are few of them.
    pub(crate) const NAMES: [&'static str; 11] = [
        "/v1/info",
        "/v1/reads",
        "/v1/writes",
        "/v1/writes/{lease}/complete",
        "/v1/blocks",
        "/v1/blocks/{cid}",
        "/healthz",
        "/readyz",
        "/metrics",
        "/ipfs/{cid}",
        "/",
    ];

    /// Where its name is among [`NAMES`](Self::NAMES).
    pub(crate) const fn index(self) -> usize {
        match self {
            Self::Info => 0,
            Self::Reads => 1,
            Self::Writes => 2,
            Self::Complete(_) => 3,
            Self::Blocks => 4,
            Self::Block(_) => 5,
            Self::Healthz => 6,
            Self::Readyz => 7,
            Self::Metrics => 8,
            Self::Gateway => 9,
            Self::File(_) => 10,
        }
    }

    /// What can be done there, beside `OPTIONS`.
    pub(crate) const fn methods(self) -> &'static [Method] {
        const READ: &[Method] = &[Method::GET, Method::HEAD];
        const POST: &[Method] = &[Method::POST];
        const ALL: &[Method] = &[Method::GET, Method::HEAD, Method::PUT, Method::DELETE];
        match self {
            Self::Reads | Self::Writes | Self::Complete(_) => POST,
            Self::Block(_) => ALL,
            _ => READ,
        }
    }

    /// The same as the value of `Allow`.
    pub(crate) const fn allow(self) -> &'static str {
        match self {
            Self::Reads | Self::Writes | Self::Complete(_) => "POST, OPTIONS",
            Self::Block(_) => "GET, HEAD, PUT, DELETE, OPTIONS",
            _ => "GET, HEAD, OPTIONS",
        }
    }
}

fn is_segment(text: &&str) -> bool {
    !text.is_empty() && !text.contains('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        for (path, route) in [
            ("/v1/info", Route::Info),
            ("/v1/reads", Route::Reads),
            ("/v1/writes", Route::Writes),
            ("/v1/writes/l/complete", Route::Complete("l")),
            ("/v1/blocks", Route::Blocks),
            ("/v1/blocks/c", Route::Block("c")),
            ("/v1/blocks/", Route::File("/v1/blocks/")),
            ("/v1/blocks/a/b", Route::File("/v1/blocks/a/b")),
            ("/v1/writes//complete", Route::File("/v1/writes//complete")),
            ("/v1/writes/complete", Route::File("/v1/writes/complete")),
            (
                "/v1/writes/a/b/complete",
                Route::File("/v1/writes/a/b/complete"),
            ),
            ("/v1/../metrics", Route::File("/v1/../metrics")),
            ("/V1/info", Route::File("/V1/info")),
            ("/", Route::File("/")),
        ] {
            assert_eq!(Route::of(path), route, "{path}");
        }
    }

    #[test]
    fn names_are_those_of_the_routes() {
        // Whether there is a gateway, a path alone does not tell.
        let gateway = Route::NAMES[Route::Gateway.index()];
        assert_eq!(gateway, "/ipfs/{cid}");
        for name in Route::NAMES.into_iter().filter(|name| *name != gateway) {
            assert_eq!(Route::NAMES[Route::of(name).index()], name);
        }
    }

    #[test]
    fn what_is_allowed_is_said_in_one_way() {
        for path in [
            "/v1/info",
            "/v1/reads",
            "/v1/blocks/c",
            "/",
            "/v1/writes/l/complete",
        ] {
            let route = Route::of(path);
            let methods: Vec<_> = route.methods().iter().map(Method::as_str).collect();
            assert_eq!(route.allow(), format!("{}, OPTIONS", methods.join(", ")));
        }
    }
}
