//! `s3://BUCKET[/PREFIX][?option=value&…]`, read and written.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::fmt::Write as _;
use std::path::PathBuf;

use cidbucket_blockstore::{DEFAULT_CONCURRENCY, Error, Report, Result};
use cidbucket_layout::{Keys, Layout, Prefix};
use cidbucket_presign::{Bucket, Style};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::{CredentialsSource, Encryption, Env, Profiles, S3Config};

/// Every option of the URL, with what it is for, as the error on an unknown one prints it.
const OPTIONS: &[(&str, &str)] = &[
    ("endpoint", "URL of the S3 server; AWS when absent"),
    (
        "public-endpoint",
        "URL by which others reach it; signed URLs are for that one",
    ),
    ("region", "the region to sign for"),
    ("style", "path or virtual"),
    ("layout", "which key a block has"),
    ("profile", "profile of the AWS config and credentials files"),
    ("anonymous", "true: do not sign, the bucket is public"),
    ("ca", "PEM file of certificate authorities to trust as well"),
    ("conditional", "true: put with If-None-Match"),
    ("checksum", "true: put with x-amz-checksum-sha256"),
    ("storage-class", "x-amz-storage-class of every put"),
    ("sse", "AES256 or aws:kms"),
    ("sse-kms-key", "key id or ARN for aws:kms"),
    ("sse-bucket-key", "true: use an S3 bucket key with aws:kms"),
    (
        "requester-pays",
        "true: pay for requests to another owner's bucket",
    ),
    ("concurrency", "how many requests of a batch run at once"),
];

/// Words that give away a secret in an option's name.
const SECRET_WORDS: &[&str] = &[
    "secret",
    "token",
    "password",
    "credential",
    "signature",
    "access-key",
    "accesskey",
    "key-id",
    "keyid",
];

impl S3Config {
    /// Reads `s3://BUCKET[/PREFIX][?option=value&…]`.
    ///
    /// Options: `endpoint`, `public-endpoint`, `region`, `style` (`path`, `virtual`), `layout`, `profile`,
    /// `anonymous`, `ca`, `conditional`, `checksum`, `storage-class`, `sse`, `sse-kms-key`,
    /// `sse-bucket-key`, `requester-pays`, `concurrency`. Names may have `_` for `-`. Bucket, prefix and values are percent-decoded.
    ///
    /// What the URL leaves open comes from the environment as in the AWS tools:
    ///
    /// - endpoint: `AWS_ENDPOINT_URL_S3`, `AWS_ENDPOINT_URL`, the profile's `endpoint_url` (none of
    ///   them where `AWS_IGNORE_CONFIGURED_ENDPOINT_URLS` is `true`), AWS;
    /// - region: `AWS_REGION`, `AWS_DEFAULT_REGION`, the profile's `region`, the one that an AWS
    ///   endpoint names, `us-east-1`;
    /// - profile: `AWS_PROFILE`, `AWS_DEFAULT_PROFILE`, `default`;
    /// - style: virtual at AWS unless the bucket has dots (no wildcard certificate covers them),
    ///   path elsewhere.
    ///
    /// An `http://` endpoint is taken as asked for, with a warning in the log unless it is on this
    /// machine; nothing ever falls back from `https` to it.
    ///
    /// # Errors
    /// [`Error::Invalid`] says what is wrong and what is known; the URL's values are not repeated
    /// where they may be secrets, which do not belong in a URL. [`Error::Io`] where an AWS
    /// configuration file cannot be read.
    pub fn from_url(url: &str, env: &Env) -> Result<Self> {
        let parts = Parts::parse(url)?;
        let anonymous = parts.flag("anonymous")?;
        if anonymous && parts.get("profile").is_some() {
            return Err(invalid("anonymous= and profile= contradict each other"));
        }
        let context = Context::new(&parts, env)?;

        let endpoint = context.endpoint()?;
        let region = context.region(endpoint.as_deref())?;
        let endpoint = endpoint.unwrap_or_else(|| aws_endpoint(&region));
        let host = host_of(&endpoint)?;
        let style = match parts.get("style") {
            None if is_aws(&host) && !parts.bucket.contains('.') => Style::Virtual,
            None => Style::Path,
            Some(style) => style
                .parse()
                .map_err(|error: cidbucket_presign::BucketError| {
                    because("style= is not known", error)
                })?,
        };
        if is_aws(&host) {
            check_aws_bucket_name(&parts.bucket)?;
        }
        let bucket = Bucket::new(&endpoint, &parts.bucket, &region, style)
            .map_err(|error| because("the bucket cannot be addressed", error))?;
        if bucket.scheme() == "http" && !is_loopback(&host) {
            warn_of_plain_http(&host);
        }
        let public = match parts.get("public-endpoint") {
            None => None,
            Some(public) => {
                host_of(public)?;
                Some(
                    Bucket::new(public, &parts.bucket, &region, style).map_err(|error| {
                        because("the bucket cannot be addressed at public-endpoint=", error)
                    })?,
                )
            }
        };

        let prefix = Prefix::new(&parts.prefix)
            .map_err(|error| because("the prefix after the bucket's name cannot be used", error))?;
        let layout = match parts.get("layout") {
            None => Layout::default(),
            Some(name) => name
                .parse()
                .map_err(|error: cidbucket_layout::LayoutError| {
                    because("layout= is not known", error)
                })?,
        };

        let mut config = Self::new(bucket, Keys::new(prefix, layout));
        config.credentials = if anonymous {
            CredentialsSource::Anonymous
        } else {
            CredentialsSource::Chain {
                env: env.clone(),
                profile: parts.get("profile").map(str::to_owned),
            }
        };
        config.public = public;
        config.ca_file = parts
            .get("ca")
            .or_else(|| env.get("AWS_CA_BUNDLE"))
            .map(PathBuf::from);
        config.conditional_put = parts.flag("conditional")?;
        config.send_checksum = parts.flag("checksum")?;
        config.storage_class = parts.get("storage-class").map(str::to_owned);
        if let Some(class) = &config.storage_class
            && !class
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
        {
            return Err(invalid(
                "storage-class= must be a name such as STANDARD_IA: letters, digits, \"_\" and \"-\"",
            ));
        }
        config.encryption = parts.encryption()?;
        config.requester_pays = parts.flag("requester-pays")?;
        if let Some(number) = parts.get("concurrency") {
            config.concurrency = number
                .parse()
                .ok()
                .filter(|number| (1..=4096).contains(number))
                .ok_or_else(|| invalid("concurrency= must be a number from 1 to 4096"))?;
        }
        Ok(config)
    }

    /// The URL that [`S3Config::from_url`] reads this bucket, layout and these options from. It
    /// holds no secret, and no setting that has no option there (timeouts, retries, limits,
    /// credentials other than the AWS tools').
    pub fn to_url(&self) -> String {
        let bucket = &self.bucket;
        let mut url = format!("s3://{}", bucket.name());
        for segment in self
            .keys
            .prefix()
            .as_str()
            .split('/')
            .filter(|s| !s.is_empty())
        {
            let _ = write!(url, "/{}", escaped(segment));
        }
        let endpoint = bucket.endpoint();
        let aws = endpoint == aws_endpoint(bucket.region());
        let mut separator = '?';
        let mut option = |name: &str, value: Cow<'_, str>| {
            let _ = write!(url, "{separator}{name}={}", escaped(&value));
            separator = '&';
        };
        if !aws {
            option("endpoint", endpoint.into());
        }
        if let Some(public) = &self.public {
            option("public-endpoint", public.endpoint().into());
        }
        option("region", bucket.region().into());
        option("style", bucket.style().name().into());
        if *self.keys.layout() != Layout::default() {
            option("layout", self.keys.layout().to_string().into());
        }
        match &self.credentials {
            CredentialsSource::Anonymous => option("anonymous", "true".into()),
            CredentialsSource::Chain {
                profile: Some(profile),
                ..
            } => option("profile", profile.into()),
            _ => {}
        }
        if let Some(ca) = &self.ca_file {
            option("ca", ca.to_string_lossy());
        }
        if self.conditional_put {
            option("conditional", "true".into());
        }
        if self.send_checksum {
            option("checksum", "true".into());
        }
        if let Some(class) = &self.storage_class {
            option("storage-class", class.into());
        }
        match &self.encryption {
            None => {}
            Some(Encryption::Aes256) => option("sse", "AES256".into()),
            Some(Encryption::Kms { key_id, bucket_key }) => {
                option("sse", "aws:kms".into());
                if let Some(key_id) = key_id {
                    option("sse-kms-key", key_id.into());
                }
                if *bucket_key {
                    option("sse-bucket-key", "true".into());
                }
            }
        }
        if self.requester_pays {
            option("requester-pays", "true".into());
        }
        if self.concurrency != DEFAULT_CONCURRENCY {
            option("concurrency", self.concurrency.to_string().into());
        }
        url
    }
}

/// The URL, taken apart and decoded.
struct Parts {
    bucket: String,
    prefix: String,
    options: Vec<(&'static str, String)>,
}

impl Parts {
    fn parse(url: &str) -> Result<Self> {
        let rest = url
            .get(..5)
            .filter(|scheme| scheme.eq_ignore_ascii_case("s3://"))
            .map(|_| &url[5..])
            .ok_or_else(|| invalid("an S3 store's URL is s3://BUCKET[/PREFIX][?option=value&…]"))?;
        if rest.contains('#') {
            return Err(invalid("write a \"#\" in a store URL as %23"));
        }
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (bucket, prefix) = path.split_once('/').unwrap_or((path, ""));
        if bucket.contains('@') {
            return Err(secret("before the bucket's name"));
        }
        if bucket.is_empty() {
            return Err(invalid("the URL names no bucket: s3://BUCKET[/PREFIX]"));
        }
        let mut options: Vec<(&'static str, String)> = Vec::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let plain = name.replace('_', "-");
            let Some((known, _)) = OPTIONS.iter().find(|(known, _)| *known == plain) else {
                return Err(unknown(&name));
            };
            if value.is_empty() {
                return Err(invalid(format!("option {known}= has no value")));
            }
            if value.chars().any(char::is_control) {
                return Err(invalid(format!("option {known}= has a control character")));
            }
            if options.iter().any(|(name, _)| name == known) {
                return Err(invalid(format!("option {known}= is there twice")));
            }
            options.push((known, value.into_owned()));
        }
        Ok(Self {
            bucket: decoded(bucket)?,
            prefix: decoded(prefix)?,
            options,
        })
    }

    fn get(&self, name: &str) -> Option<&str> {
        debug_assert!(OPTIONS.iter().any(|(known, _)| *known == name), "{name}");
        self.options
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value.as_str())
    }

    fn flag(&self, name: &str) -> Result<bool> {
        match self.get(name) {
            None | Some("false" | "off" | "no" | "0") => Ok(false),
            Some("true" | "on" | "yes" | "1") => Ok(true),
            Some(_) => Err(invalid(format!("{name}= must be true or false"))),
        }
    }

    fn encryption(&self) -> Result<Option<Encryption>> {
        let key_id = self.get("sse-kms-key").map(str::to_owned);
        let bucket_key = self.flag("sse-bucket-key")?;
        match self.get("sse") {
            Some("aws:kms") => Ok(Some(Encryption::Kms { key_id, bucket_key })),
            _ if key_id.is_some() || bucket_key => Err(invalid(
                "sse-kms-key= and sse-bucket-key= need sse=aws:kms beside them",
            )),
            None => Ok(None),
            Some("AES256") => Ok(Some(Encryption::Aes256)),
            Some(_) => Err(invalid("sse= must be AES256 or aws:kms")),
        }
    }
}

/// What the URL leaves open, looked up where the AWS tools look, and the files only when needed.
struct Context<'a> {
    parts: &'a Parts,
    env: &'a Env,
    profiles: OnceCell<Profiles>,
}

impl<'a> Context<'a> {
    fn new(parts: &'a Parts, env: &'a Env) -> Result<Self> {
        let context = Self {
            parts,
            env,
            profiles: OnceCell::new(),
        };
        if parts.get("profile").is_some() {
            // A profile that was asked for by name must exist.
            context.with_profile(|_, _| ())?;
        }
        Ok(context)
    }

    fn with_profile<T>(
        &self,
        read: impl FnOnce(&Profiles, &super::profile::Properties) -> T,
    ) -> Result<Option<T>> {
        let profiles = match self.profiles.get() {
            Some(profiles) => profiles,
            None => self.profiles.get_or_init({
                let profiles = Profiles::load(self.env)?;
                || profiles
            }),
        };
        let (name, named) = Profiles::name(self.parts.get("profile"), self.env);
        Ok(profiles
            .select(name, named)?
            .map(|profile| read(profiles, profile)))
    }

    fn endpoint(&self) -> Result<Option<String>> {
        if let Some(endpoint) = self.parts.get("endpoint") {
            return Ok(Some(endpoint.to_owned()));
        }
        if self.env.is_true("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS") {
            return Ok(None);
        }
        for variable in ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"] {
            if let Some(endpoint) = self.env.get(variable) {
                return Ok(Some(endpoint.to_owned()));
            }
        }
        Ok(self
            .with_profile(|profiles, profile| {
                profiles.endpoint_url(profile, "s3").map(str::to_owned)
            })?
            .flatten())
    }

    fn region(&self, endpoint: Option<&str>) -> Result<String> {
        let region = match self
            .parts
            .get("region")
            .or_else(|| self.env.get("AWS_REGION"))
            .or_else(|| self.env.get("AWS_DEFAULT_REGION"))
        {
            Some(region) => region.to_owned(),
            None => self
                .with_profile(|_, profile| profile.get("region").map(str::to_owned))?
                .flatten()
                .or_else(|| endpoint.and_then(region_of_endpoint))
                .unwrap_or_else(|| "us-east-1".to_owned()),
        };
        Ok(region)
    }
}

fn aws_endpoint(region: &str) -> String {
    let china = if region.starts_with("cn-") { ".cn" } else { "" };
    format!("https://s3.{region}.amazonaws.com{china}")
}

fn is_aws(host: &str) -> bool {
    host.ends_with(".amazonaws.com") || host.ends_with(".amazonaws.com.cn")
}

/// `eu-west-1` of `https://s3.eu-west-1.amazonaws.com`.
fn region_of_endpoint(endpoint: &str) -> Option<String> {
    let host = endpoint.split_once("://")?.1.split(['/', ':']).next()?;
    let labels = host.strip_suffix(".cn").unwrap_or(host);
    let labels = labels.strip_suffix(".amazonaws.com")?;
    let (service, region) = labels.split_once('.')?;
    let region = region.strip_prefix("dualstack.").unwrap_or(region);
    (service.starts_with("s3") && !region.contains('.')).then(|| region.to_owned())
}

/// The host of an endpoint, in lower case and without its port; [`Bucket::new`] checks the rest.
fn host_of(endpoint: &str) -> Result<String> {
    let authority = endpoint
        .split_once("://")
        .map_or(endpoint, |(_, rest)| rest)
        .split(['/', '?', '#'])
        .next()
        .unwrap_or_default();
    if authority.contains('@') {
        return Err(secret("in the endpoint"));
    }
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => authority,
    };
    Ok(host.to_ascii_lowercase())
}

fn is_loopback(host: &str) -> bool {
    host == "localhost"
        || host.ends_with(".localhost")
        || host
            .trim_matches(['[', ']'])
            .parse::<std::net::IpAddr>()
            .is_ok_and(|ip| ip.is_loopback())
}

fn warn_of_plain_http(host: &str) {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        tracing::warn!(
            host,
            "the S3 endpoint is plain http: whoever is on the way can read the blocks and signed \
             URLs; use https outside a trusted network"
        );
    });
}

/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html>; other servers
/// allow more.
fn check_aws_bucket_name(name: &str) -> Result<()> {
    let edge = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let ok = (3..=63).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.'))
        && edge(name.bytes().next())
        && edge(name.bytes().last())
        && !name.contains("..")
        && name.parse::<std::net::Ipv4Addr>().is_err();
    if ok {
        return Ok(());
    }
    Err(invalid(format!(
        "{name:?} is no bucket name of AWS: 3 to 63 lower-case letters, digits, \"-\" and \".\", \
         beginning and ending with a letter or digit, and no IP address"
    )))
}

/// Everything but what RFC 3986 calls unreserved, and `/` and `:`, which read better plain.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'/')
    .remove(b':');

fn escaped(text: &str) -> impl std::fmt::Display {
    utf8_percent_encode(text, ESCAPED)
}

fn decoded(text: &str) -> Result<String> {
    percent_decode_str(text)
        .decode_utf8()
        .map(Cow::into_owned)
        .map_err(|error| because("the store URL is not UTF-8", error))
}

fn unknown(name: &str) -> Error {
    let lower = name.to_ascii_lowercase().replace('_', "-");
    if SECRET_WORDS.iter().any(|word| lower.contains(word)) || lower.starts_with("x-amz-") {
        return secret("among the options");
    }
    let mut message = format!("unknown option {name:?} in the store URL; known are");
    for (known, what) in OPTIONS {
        let _ = write!(message, "\n  {known}: {what}");
    }
    invalid(message)
}

fn secret(place: &str) -> Error {
    invalid(format!(
        "the store URL holds credentials {place}; URLs end up in logs and process lists. Set \
         AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment, or name a profile of \
         ~/.aws/credentials by profile=NAME"
    ))
}

fn invalid(message: impl Into<Cow<'static, str>>) -> Error {
    Error::Invalid(Report::new("read store URL", message).into())
}

fn because(message: &'static str, error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::Invalid(
        Report::new("read store URL", message)
            .with_source(error)
            .into(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(url: &str, variables: &[(&str, &str)]) -> Result<S3Config> {
        S3Config::from_url(url, &variables.iter().copied().collect())
    }

    fn home(config: &str) -> (tempfile::TempDir, Env) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join(".aws")).unwrap();
        std::fs::write(folder.path().join(".aws/config"), config).unwrap();
        let env = Env::empty().with("HOME", folder.path().to_str().unwrap());
        (folder, env)
    }

    #[test]
    fn a_bucket_alone_is_at_aws() {
        let config = read("s3://my-bucket", &[]).unwrap();
        assert_eq!(
            config.bucket.to_string(),
            "https://my-bucket.s3.us-east-1.amazonaws.com/"
        );
        assert_eq!(config.keys.prefix().as_str(), "");
        assert!(!config.conditional_put && !config.send_checksum && !config.requester_pays);
        assert!(!config.credentials.is_anonymous());
        let config = read(
            "S3://my.bucket/a/b/",
            &[("AWS_DEFAULT_REGION", "cn-north-1")],
        )
        .unwrap();
        assert_eq!(
            config.bucket.to_string(),
            "https://s3.cn-north-1.amazonaws.com.cn/my.bucket/"
        );
        assert_eq!(config.keys.prefix().as_str(), "a/b");
    }

    #[test]
    fn another_server_is_addressed_by_path() {
        let config = read(
            "s3://Old_Name/p?endpoint=http://127.0.0.1:9000/base&region=garage&layout=flatfs&\
             conditional=true&checksum=on&storage_class=STANDARD_IA&requester-pays=1&ca=/ca%20x.pem",
            &[],
        )
        .unwrap();
        assert_eq!(
            config.bucket.to_string(),
            "http://127.0.0.1:9000/base/Old_Name/"
        );
        assert_eq!(config.bucket.region(), "garage");
        assert_eq!(config.keys.layout(), &Layout::Flatfs);
        assert!(config.conditional_put && config.send_checksum && config.requester_pays);
        assert_eq!(config.storage_class.as_deref(), Some("STANDARD_IA"));
        assert_eq!(
            config.ca_file.as_deref(),
            Some(std::path::Path::new("/ca x.pem"))
        );
        let config = read("s3://b?endpoint=https://s3.example.org&style=virtual", &[]).unwrap();
        assert_eq!(config.bucket.to_string(), "https://b.s3.example.org/");
    }

    #[tokio::test]
    async fn grants_are_for_the_public_endpoint() {
        let url = "s3://bbb?endpoint=http://127.0.0.1:9000&public-endpoint=https://s3.example.org\
                   &region=r&style=path";
        let keys = [("AWS_ACCESS_KEY_ID", "a"), ("AWS_SECRET_ACCESS_KEY", "s")];
        let config = read(url, &keys).unwrap();
        assert_eq!(config.to_url(), url);
        assert_eq!(config.bucket.host(), "127.0.0.1:9000");
        let (keys, policy) = (config.keys.clone(), cidbucket_presign::Policy::default());
        let client = crate::S3Client::new(config).unwrap();
        let granter = client.granter(keys, policy).await.unwrap();
        assert_eq!(granter.bucket().to_string(), "https://s3.example.org/bbb/");
        let error = read("s3://bbb?public-endpoint=http://u:p@h", &[]).unwrap_err();
        assert!(!error.to_string().contains("u:p"), "{error}");
    }

    #[test]
    fn the_environment_is_read_in_the_order_of_the_aws_tools() {
        let endpoint =
            |variables: &[(&str, &str)]| read("s3://bbb", variables).unwrap().bucket.endpoint();
        let all = [
            ("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1"),
            ("AWS_ENDPOINT_URL", "http://127.0.0.1:2"),
        ];
        assert_eq!(endpoint(&all), "http://127.0.0.1:1");
        assert_eq!(endpoint(&all[1..]), "http://127.0.0.1:2");
        let ignored = [all[0], ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")];
        assert_eq!(endpoint(&ignored), "https://s3.us-east-1.amazonaws.com");

        let (_folder, env) = home(
            "[default]\nregion = from-default\n\
             [profile p]\nregion = from-p\nendpoint_url = https://p.example\n",
        );
        let region = |env: &Env, url: &str| {
            S3Config::from_url(url, env)
                .unwrap()
                .bucket
                .region()
                .to_owned()
        };
        assert_eq!(region(&env, "s3://bbb"), "from-default");
        assert_eq!(region(&env, "s3://bbb?profile=p"), "from-p");
        let env = env.with("AWS_PROFILE", "p");
        assert_eq!(region(&env, "s3://bbb"), "from-p");
        let config = S3Config::from_url("s3://bbb", &env).unwrap();
        assert_eq!(config.bucket.to_string(), "https://p.example/bbb/");
        let env = env.with("AWS_DEFAULT_REGION", "from-env2");
        assert_eq!(region(&env, "s3://bbb"), "from-env2");
        let env = env.with("AWS_REGION", "from-env");
        assert_eq!(region(&env, "s3://bbb"), "from-env");
        assert_eq!(region(&env, "s3://bbb?region=from-url"), "from-url");
    }

    #[test]
    fn an_aws_endpoint_names_its_region() {
        for (endpoint, region) in [
            ("https://s3.eu-west-1.amazonaws.com", "eu-west-1"),
            ("https://s3.dualstack.eu-west-1.amazonaws.com", "eu-west-1"),
            (
                "https://s3-fips.us-gov-west-1.amazonaws.com",
                "us-gov-west-1",
            ),
            ("https://s3.cn-north-1.amazonaws.com.cn", "cn-north-1"),
            ("https://s3.amazonaws.com", "us-east-1"),
            ("https://s3.eu-west-1.example.org", "us-east-1"),
        ] {
            let config = read(&format!("s3://bbb?endpoint={endpoint}"), &[]).unwrap();
            assert_eq!(config.bucket.region(), region, "{endpoint}");
        }
    }

    #[test]
    fn files_are_not_read_where_nothing_is_asked_of_them() {
        let env = Env::empty()
            .with("AWS_CONFIG_FILE", "/")
            .with("AWS_REGION", "r")
            .with("AWS_ENDPOINT_URL", "http://127.0.0.1:1");
        assert!(S3Config::from_url("s3://bbb", &env).is_ok());
        assert!(S3Config::from_url("s3://bbb?profile=p", &env).is_err());
    }

    #[test]
    fn the_url_goes_both_ways() {
        for url in [
            "s3://bbb?region=us-east-1&style=virtual",
            "s3://a.b?region=us-east-1&style=path",
            "s3://bbb/p/q%20r?endpoint=http://127.0.0.1:9000/base&region=r&style=path&layout=helia",
            "s3://tenant:b?endpoint=https://ceph.example&region=r&style=path&profile=x%26y",
            "s3://bbb?endpoint=https://s3.example.org:8443&region=r&style=virtual&anonymous=true",
            "s3://bbb?region=r&style=virtual&ca=/etc/ca.pem&conditional=true&checksum=true\
             &storage-class=IA&sse=aws:kms&sse-kms-key=arn:aws:kms:r:1:key/k&sse-bucket-key=true\
             &requester-pays=true&concurrency=64",
            "s3://bbb?region=r&style=virtual&sse=AES256",
        ] {
            let (_folder, env) = home("[profile x&y]\n");
            let config = S3Config::from_url(url, &env).unwrap_or_else(|e| panic!("{url}: {e}"));
            assert_eq!(config.to_url(), url);
            assert_eq!(config.to_string(), url);
        }
    }

    #[test]
    fn mistakes_are_named() {
        for (url, words) in [
            ("https://bbb", "s3://BUCKET"),
            ("s3:", "s3://BUCKET"),
            ("s3://", "names no bucket"),
            ("s3:///prefix", "names no bucket"),
            ("s3://AB", "no bucket name of AWS"),
            ("s3://192.168.1.1", "no bucket name of AWS"),
            ("s3://bbb/a/../b", "prefix"),
            ("s3://bbb#x", "%23"),
            ("s3://bbb?regoin=x", "unknown option \"regoin\""),
            ("s3://bbb?regoin=x", "requester-pays"),
            ("s3://bbb?region=", "has no value"),
            ("s3://bbb?region=a&region=b", "twice"),
            ("s3://bbb?region=a%0Ab", "control character"),
            ("s3://bbb?region=a/b", "region"),
            ("s3://bbb?style=both", "path or virtual"),
            ("s3://bbb?layout=x", "kubo-unmounted"),
            ("s3://bbb?conditional=maybe", "true or false"),
            ("s3://bbb?endpoint=example.org", "https://"),
            ("s3://bbb?endpoint=ftp://example.org", "https://"),
            ("s3://bbb?storage-class=a%20b", "storage-class"),
            ("s3://bbb?sse=x", "AES256"),
            ("s3://bbb?concurrency=0", "1 to 4096"),
            ("s3://bbb?sse-kms-key=k", "aws:kms"),
            ("s3://bbb?profile=p", "no profile \"p\""),
            ("s3://bbb?anonymous=true&profile=p", "contradict"),
        ] {
            let error = read(url, &[]).expect_err(url);
            assert!(matches!(error, Error::Invalid(_)), "{url}: {error}");
            assert!(error.to_string().contains(words), "{url}: {error}");
        }
    }

    #[test]
    fn secrets_are_refused_and_not_repeated() {
        for url in [
            "s3://AKID:canary@bbb",
            "s3://bbb?secret_access_key=canary",
            "s3://bbb?access_key=canary",
            "s3://bbb?AWS_ACCESS_KEY_ID=canary",
            "s3://bbb?session-token=canary",
            "s3://bbb?X-Amz-Signature=canary",
            "s3://bbb?endpoint=https://user:canary@example.org",
        ] {
            let text = read(url, &[]).expect_err(url).to_string();
            assert!(!text.contains("canary"), "{text}");
            assert!(text.contains("AWS_SECRET_ACCESS_KEY"), "{text}");
        }
    }

    #[test]
    fn debug_and_display_hold_no_secret() {
        let mut config = read("s3://bbb", &[("AWS_SECRET_ACCESS_KEY", "canary")]).unwrap();
        let shown = format!("{config:?} {config}");
        assert!(!shown.contains("canary"), "{shown}");
        config.credentials =
            CredentialsSource::Static(cidbucket_sigv4::Credentials::new("AKID", "canary"));
        let shown = format!("{config:?} {config}");
        assert!(
            !shown.contains("canary") && shown.contains("AKID"),
            "{shown}"
        );
    }

    proptest::proptest! {
        #[test]
        fn any_prefix_survives_the_url(text in "[^\\x00-\\x1f]{0,40}") {
            if let Ok(prefix) = Prefix::new(&text) {
                let mut config = read("s3://bbb", &[]).unwrap();
                config.keys = Keys::new(prefix, Layout::default());
                let again = read(&config.to_url(), &[]).unwrap();
                proptest::prop_assert_eq!(again.keys, config.keys);
            }
        }

        #[test]
        fn any_text_is_a_store_or_an_error(text in "(s3://)?[ -~é]{0,60}") {
            let _ = read(&text, &[]);
        }
    }
}
