//! The Security Token Service: how it is called, and what it answers.

use std::borrow::Cow;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use cidbucket_blockstore::{Error, Report, Result};
use cidbucket_sigv4::{Credentials, Payload, Request as ToSign, Signer, Timestamp};
use form_urlencoded::Serializer;
use http::{HeaderValue, Request, Uri, header};
use sha2::{Digest, Sha256};

use super::document::expiration;
use super::fetch::{fetch, refused, senseless, unreachable};
use super::{Issued, credentials};
use crate::config::{Env, Profiles, Properties};
use crate::transport::HttpClient;
use crate::xml;

const SERVICE: &str = "token service (STS)";
const PATIENCE: Duration = Duration::from_secs(10);
const ATTEMPTS: u32 = 3;
const FORM: &str = "application/x-www-form-urlencoded; charset=utf-8";

/// Where the token service is, and for which region requests to it are signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sts {
    endpoint: String,
    region: String,
}

impl Sts {
    /// The endpoint of `AWS_ENDPOINT_URL_STS`, `AWS_ENDPOINT_URL`, the profile, or the region; the
    /// global one where no region is set.
    pub(super) fn find(env: &Env, profile: Option<(&Profiles, &Properties)>) -> Self {
        let region = env
            .get("AWS_REGION")
            .or_else(|| env.get("AWS_DEFAULT_REGION"))
            .or_else(|| profile.and_then(|(_, profile)| profile.get("region")));
        let configured = if env.is_true("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS") {
            None
        } else {
            env.get("AWS_ENDPOINT_URL_STS")
                .or_else(|| env.get("AWS_ENDPOINT_URL"))
                .or_else(|| {
                    profile.and_then(|(profiles, profile)| profiles.endpoint_url(profile, "sts"))
                })
        };
        let endpoint = match (configured, region) {
            (Some(endpoint), _) => endpoint.trim_end_matches('/').to_owned(),
            (None, Some(region)) if region.starts_with("cn-") => {
                format!("https://sts.{region}.amazonaws.com.cn")
            }
            (None, Some(region)) => format!("https://sts.{region}.amazonaws.com"),
            (None, None) => "https://sts.amazonaws.com".to_owned(),
        };
        Self {
            endpoint,
            region: region.unwrap_or("us-east-1").to_owned(),
        }
    }

    /// `AssumeRoleWithWebIdentity`: the token is the proof, so the request is not signed.
    pub(super) async fn with_web_identity(
        &self,
        http: &HttpClient,
        role: &Role<'_>,
        token: &str,
    ) -> Result<Issued> {
        let form = role.form("AssumeRoleWithWebIdentity", Some(token));
        self.call(http, form, None).await
    }

    /// `AssumeRole`, signed with the credentials that may take the role.
    pub(super) async fn assume_role(
        &self,
        http: &HttpClient,
        role: &Role<'_>,
        signed_by: &Credentials,
    ) -> Result<Issued> {
        let form = role.form("AssumeRole", None);
        self.call(http, form, Some(signed_by)).await
    }

    async fn call(
        &self,
        http: &HttpClient,
        body: String,
        signed_by: Option<&Credentials>,
    ) -> Result<Issued> {
        let uri: Uri = format!("{}/", self.endpoint)
            .parse()
            .map_err(|_| invalid("the STS endpoint is not a URL"))?;
        let host = uri
            .authority()
            .ok_or_else(|| invalid("the STS endpoint has no host"))?
            .as_str();
        let mut builder = Request::post(&uri)
            .header(header::HOST, host)
            .header(header::CONTENT_TYPE, FORM);
        if let Some(credentials) = signed_by {
            let signer = Signer::for_service(credentials.clone(), self.region.as_str(), "sts")
                .map_err(|error| because("cannot sign the request to STS", error))?;
            let signed = signer
                .sign(
                    &ToSign {
                        method: "POST",
                        path: uri.path(),
                        query: &[],
                        headers: &[("content-type", FORM), ("host", host)],
                    },
                    Payload::Sha256(Sha256::digest(&body).into()),
                    Timestamp::from(SystemTime::now()),
                )
                .map_err(|error| because("cannot sign the request to STS", error))?;
            for (name, value) in signed.iter() {
                let mut value = HeaderValue::from_str(value)
                    .map_err(|error| because("cannot sign the request to STS", error))?;
                value.set_sensitive(true);
                builder = builder.header(name, value);
            }
        }
        let request = builder
            .body(Bytes::from(body))
            .map_err(|error| because("cannot make the request to STS", error))?;
        let answer = fetch(http, &request, PATIENCE, ATTEMPTS)
            .await
            .map_err(|error| unreachable(SERVICE, &error))?;
        if answer.status().is_success() {
            return read(answer.body());
        }
        let code = code(answer.body());
        Err(refused(SERVICE, answer.status(), code.as_deref()))
    }
}

/// The role to take.
#[derive(Debug)]
pub(super) struct Role<'a> {
    pub(super) arn: &'a str,
    pub(super) session: Option<&'a str>,
    pub(super) external_id: Option<&'a str>,
    pub(super) seconds: Option<&'a str>,
}

impl Role<'_> {
    fn form(&self, action: &str, token: Option<&str>) -> String {
        let session = self.session.map_or_else(
            || {
                let now = SystemTime::now().duration_since(UNIX_EPOCH);
                format!("cidbucket-{}", now.unwrap_or_default().as_secs())
            },
            str::to_owned,
        );
        let mut form = Serializer::new(String::new());
        form.append_pair("Action", action)
            .append_pair("Version", "2011-06-15")
            .append_pair("RoleArn", self.arn)
            .append_pair("RoleSessionName", &session);
        if let Some(id) = self.external_id {
            form.append_pair("ExternalId", id);
        }
        if let Some(seconds) = self.seconds {
            form.append_pair("DurationSeconds", seconds);
        }
        if let Some(token) = token {
            form.append_pair("WebIdentityToken", token);
        }
        form.finish()
    }
}

fn read(body: &[u8]) -> Result<Issued> {
    let (mut id, mut secret, mut token, mut end) = (None, None, None, None);
    xml::walk(body, |path, text| {
        let place = match path.split('/').skip(2).collect::<Vec<_>>()[..] {
            ["Credentials", "AccessKeyId"] => &mut id,
            ["Credentials", "SecretAccessKey"] => &mut secret,
            ["Credentials", "SessionToken"] => &mut token,
            ["Credentials", "Expiration"] => &mut end,
            _ => return Ok(()),
        };
        *place = Some(text.trim().to_owned());
        Ok(())
    })
    .map_err(|_| senseless(SERVICE, "not the expected XML"))?;
    let (Some(id), Some(secret), Some(token)) = (id, secret, token) else {
        return Err(senseless(SERVICE, "it has no credentials"));
    };
    let credentials = credentials(&id, &secret, Some(&token));
    match end {
        None => Ok(Issued::new(credentials)),
        Some(end) => Ok(Issued::until(credentials, expiration(SERVICE, &end)?)),
    }
}

/// The error code of `<ErrorResponse><Error><Code>`.
fn code(body: &[u8]) -> Option<String> {
    let mut code = None;
    xml::walk(body, |path, text| {
        if path == "ErrorResponse/Error/Code" {
            code = Some(text.trim().to_owned());
        }
        Ok(())
    })
    .ok()?;
    code
}

fn invalid(message: impl Into<Cow<'static, str>>) -> Error {
    Error::Invalid(Report::new("find credentials", message).into())
}

fn because(message: &'static str, error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::Invalid(
        Report::new("find credentials", message)
            .with_source(error)
            .into(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_endpoint_as_the_aws_tools_do() {
        let find =
            |variables: &[(&str, &str)]| Sts::find(&variables.iter().copied().collect(), None);
        assert_eq!(find(&[]).endpoint, "https://sts.amazonaws.com");
        assert_eq!(
            find(&[("AWS_REGION", "eu-west-1"), ("AWS_DEFAULT_REGION", "x")]),
            Sts {
                endpoint: "https://sts.eu-west-1.amazonaws.com".into(),
                region: "eu-west-1".into(),
            }
        );
        assert_eq!(
            find(&[("AWS_DEFAULT_REGION", "cn-north-1")]).endpoint,
            "https://sts.cn-north-1.amazonaws.com.cn"
        );
        let both = [
            ("AWS_ENDPOINT_URL", "http://a"),
            ("AWS_ENDPOINT_URL_STS", "http://b/"),
        ];
        assert_eq!(find(&both).endpoint, "http://b");
        assert_eq!(find(&both[..1]).endpoint, "http://a");
        let ignored = [both[0], ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")];
        assert_eq!(find(&ignored).endpoint, "https://sts.amazonaws.com");
    }

    #[test]
    fn answers_without_credentials_are_errors_that_quote_nothing() {
        for body in [
            "<AssumeRoleResponse/>",
            "canary",
            "<A><B><Credentials><SecretAccessKey>canary</SecretAccessKey></Credentials></B></A>",
        ] {
            let error = read(body.as_bytes()).unwrap_err().to_string();
            assert!(!error.contains("canary"), "{error}");
        }
    }
}
