//! `cidbucket doctor --fix-…`: a change to the bucket's settings is shown, asked for, made, and
//! looked at.

use std::fmt::Write;
use std::time::Duration;

use cidbucket::Location;
use cidbucket::s3::xml::CorsRule;
use cidbucket::s3::{CORS_RULE_ID, Check, S3Client, Verdict};
use clap::builder::styling::{AnsiColor, Style};
use serde_json::{Value, json};

use super::{Args, Row};
use crate::failure::{Exit, Failure, Outcome, Stop};
use crate::session::Session;

/// What is to be changed.
#[derive(Clone, Copy)]
enum Fix {
    Cors,
    PublicRead,
}

/// What a setting is, and what it would become.
struct Change {
    fix: Fix,
    /// Our part of it as it is, where there is one.
    before: Option<Value>,
    /// Our part as it is to be.
    after: Value,
    /// Whether nothing has to change.
    is_set: bool,
    /// How many parts are others'.
    others: usize,
    apply: Apply,
}

/// The whole of a setting as it is to be.
enum Apply {
    Cors(Vec<CorsRule>),
    Policy(String),
}

pub(super) async fn run(args: &Args, session: &mut Session<'_>) -> Outcome {
    let Location::S3 { config, .. } = session.location()? else {
        return Err(Failure::usage("only a bucket has CORS rules and a policy")
            .with_hint("name one with --store s3://BUCKET")
            .into());
    };
    let client = S3Client::new(*config)?;
    let fixes = [
        (args.fix_cors, Fix::Cors),
        (args.fix_public_read, Fix::PublicRead),
    ];
    let mut outcome = Ok(());
    for (_, fix) in fixes.into_iter().filter(|(wanted, _)| *wanted) {
        // One that does not work does not keep the other from being tried.
        if let Err(stop) = one(fix, args, &client, session).await {
            match stop {
                Stop::Failed(failure) if args.fix_cors && args.fix_public_read => {
                    session.report(&failure);
                }
                stop => outcome = outcome.and(Err(stop)),
            }
        }
    }
    outcome
}

async fn one(fix: Fix, args: &Args, client: &S3Client, session: &mut Session<'_>) -> Outcome {
    let origins = args.origins();
    let change = match fix {
        Fix::Cors => cors(client, &origins).await,
        Fix::PublicRead => public_read(client).await,
    };
    let change = change.map_err(|error| fix.not_here(error))?;
    if !session.json {
        let text = change.text(session);
        session.line(text.trim_end())?;
        session.flush()?;
    }
    if !change.is_set {
        if !(args.yes || session.confirm("Set this?").await?) {
            if session.json {
                session.json_line(&change.to_json(false, &[]))?;
            }
            return Err(unconfirmed(fix).into());
        }
        change
            .apply(client)
            .await
            .map_err(|error| fix.not_here(error))?;
    }
    let bar = session.bar("looking whether it works", None);
    bar.enable_steady_tick(Duration::from_millis(200));
    let checks = match fix {
        Fix::Cors => client.verify_browser_access(&origins).await,
        Fix::PublicRead => client.verify_public_read().await,
    };
    bar.finish_and_clear();
    let checks = checks.map_err(|error| {
        Failure::from(error).about("it is set, but whether it works cannot be seen")
    })?;
    if session.json {
        session.json_line(&change.to_json(!change.is_set, &checks))?;
    } else {
        let rows: Vec<Row> = checks.iter().map(Row::from).collect();
        let text = super::render(&rows, session);
        session.line(format_args!("\n{}\n", text.trim_end()))?;
        session.flush()?;
    }
    match checks.iter().find(|check| check.verdict == Verdict::Fail) {
        None => Ok(()),
        Some(check) => Err(Failure::new(
            Exit::Other,
            "unsupported",
            format!(
                "{} is set, and does not do what it should: {}",
                fix.name(),
                check.finding
            ),
        )
        .into()),
    }
}

async fn cors(client: &S3Client, origins: &[String]) -> cidbucket::Result<Change> {
    let mut rules = client.get_bucket_cors().await?;
    let wanted = CorsRule::for_grants(origins.to_vec());
    // A server that keeps no ids still keeps the rule.
    let is_ours = |rule: &CorsRule| {
        rule.id.as_deref() == Some(CORS_RULE_ID)
            || (rule.id.is_none() && rule.means_the_same(&wanted))
    };
    let at = rules.iter().position(is_ours);
    let before = at.map(|at| rules[at].clone());
    match at {
        Some(at) => rules[at] = wanted.clone(),
        None => rules.push(wanted.clone()),
    }
    Ok(Change {
        fix: Fix::Cors,
        is_set: before
            .as_ref()
            .is_some_and(|rule| rule.means_the_same(&wanted)),
        before: before.as_ref().map(rule_json),
        after: rule_json(&wanted),
        others: rules.len() - 1,
        apply: Apply::Cors(rules),
    })
}

async fn public_read(client: &S3Client) -> cidbucket::Result<Change> {
    let read = client.public_read()?;
    let policy = client.get_bucket_policy().await?;
    let policy = policy.as_deref();
    let merged = read.merged(policy)?;
    let statements = merged["Statement"].as_array().map_or(0, Vec::len);
    Ok(Change {
        fix: Fix::PublicRead,
        before: read.present(policy)?,
        after: read.statement(),
        is_set: read.is_in(policy)?,
        others: statements.saturating_sub(1),
        apply: Apply::Policy(merged.to_string()),
    })
}

/// A rule in the form of AWS's tools.
fn rule_json(rule: &CorsRule) -> Value {
    let mut json = json!({
        "AllowedOrigins": rule.allowed_origins,
        "AllowedMethods": rule.allowed_methods,
        "AllowedHeaders": rule.allowed_headers,
        "ExposeHeaders": rule.expose_headers,
    });
    if let Some(id) = &rule.id {
        json["ID"] = json!(id);
    }
    if let Some(seconds) = rule.max_age_seconds {
        json["MaxAgeSeconds"] = json!(seconds);
    }
    json
}

impl Change {
    async fn apply(&self, client: &S3Client) -> cidbucket::Result<()> {
        match &self.apply {
            Apply::Cors(rules) => client.put_bucket_cors(rules).await,
            Apply::Policy(policy) => client.put_bucket_policy(policy).await,
        }
    }

    fn word(&self) -> &'static str {
        match (&self.before, self.is_set) {
            (_, true) => "none",
            (Some(_), false) => "replace",
            (None, false) => "add",
        }
    }

    /// What goes and what comes, in lines that begin with `-` and `+`.
    fn text(&self, session: &Session<'_>) -> String {
        let (part, whose) = match self.fix {
            Fix::Cors => ("CORS rule", "let web pages use grants"),
            Fix::PublicRead => ("policy statement", "let anybody read blocks"),
        };
        let others = match self.others {
            0 => "There are no others.".to_owned(),
            1 => format!("The other {part} stays as it is."),
            n => format!("The {n} other {part}s stay as they are."),
        };
        if self.is_set {
            return format!("The {part} to {whose} is set already. {others}");
        }
        let verb = if self.before.is_some() {
            "replaced"
        } else {
            "added"
        };
        let mut out = format!("To {whose}, a {part} is {verb}. {others}\n\n");
        let sides = [
            ('-', AnsiColor::Red, self.before.as_ref()),
            ('+', AnsiColor::Green, Some(&self.after)),
        ];
        for (sign, color, value) in sides {
            let Some(value) = value else { continue };
            for line in format!("{value:#}").lines() {
                let line = session.result_style(
                    &format!("{sign} {line}"),
                    Style::new().fg_color(Some(color.into())),
                );
                let _ = writeln!(out, "{line}");
            }
        }
        out
    }

    fn to_json(&self, applied: bool, checks: &[Check]) -> Value {
        json!({
            "fix": self.fix.name(),
            "change": self.word(),
            "before": self.before,
            "after": self.after,
            "others": self.others,
            "applied": applied,
            "checks": checks,
        })
    }
}

impl Fix {
    fn name(self) -> &'static str {
        match self {
            Self::Cors => "cors",
            Self::PublicRead => "public-read",
        }
    }

    /// Why a setting can be neither read nor written, and what else there is.
    fn not_here(self, error: cidbucket::Error) -> Failure {
        let hint = match (self, &error) {
            (Self::Cors, cidbucket::Error::Unsupported(_)) => {
                "this server sets CORS elsewhere (MinIO: for the whole server, R2 and others: in \
                 their console), or not at all: then pages go through the service; see \
                 docs/providers.md"
            }
            (Self::PublicRead, cidbucket::Error::Unsupported(_)) => {
                "this server opens buckets elsewhere (Garage: a website, R2: a custom domain), \
                 often as a whole: then tenants, leases and staged uploads must not lie in it; see \
                 docs/providers.md"
            }
            (Self::Cors, cidbucket::Error::Denied(_)) => {
                "this takes s3:GetBucketCORS and s3:PutBucketCORS"
            }
            (Self::PublicRead, cidbucket::Error::Denied(_)) => {
                "this takes s3:GetBucketPolicy and s3:PutBucketPolicy; at AWS, Block Public Access \
                 refuses a public policy whoever sets it"
            }
            _ => return error.into(),
        };
        Failure::from(error).with_hint(hint)
    }
}

fn unconfirmed(fix: Fix) -> Failure {
    Failure::new(
        Exit::Unconfirmed,
        "unconfirmed",
        format!("{}: nothing was changed", fix.name()),
    )
    .with_hint("to set what is shown above without being asked, add --yes")
}

#[cfg(test)]
mod tests {
    use cidbucket::s3::{CredentialsSource, Env as S3Env, S3Config};
    use cidbucket_dev_s3::{DevS3, Fault, Rule};

    use super::*;
    use crate::streams::Captured;
    use crate::{Env, run};

    struct Bucket {
        server: DevS3,
        client: S3Client,
    }

    impl Bucket {
        async fn new() -> Self {
            let server = DevS3::builder().bucket("blocks").start().await.unwrap();
            let mut config = S3Config::from_url(&Self::store(&server), &S3Env::empty()).unwrap();
            config.credentials = CredentialsSource::Static(cidbucket::presign::Credentials::new(
                server.access_key(),
                server.secret_key(),
            ));
            Self {
                client: S3Client::new(config).unwrap(),
                server,
            }
        }

        fn store(server: &DevS3) -> String {
            format!(
                "s3://blocks/ipfs?endpoint={}&region={}",
                server.endpoint(),
                server.region()
            )
        }

        /// Runs `doctor`; a person at a terminal types `answer`, where there is one.
        async fn doctor(
            &self,
            args: &[&str],
            answer: Option<&'static str>,
        ) -> (u8, String, String) {
            let captured = Captured::default();
            let mut io = captured.io(answer.unwrap_or_default());
            io.stdin_is_terminal = answer.is_some();
            io.stderr_is_terminal = answer.is_some();
            let env = Env::from_iter([
                ("CIDBUCKET_STORE", &*Self::store(&self.server)),
                ("AWS_ACCESS_KEY_ID", self.server.access_key()),
                ("AWS_SECRET_ACCESS_KEY", self.server.secret_key()),
            ]);
            let args = ["cidbucket", "--color", "never", "doctor"]
                .iter()
                .chain(args);
            let code = Box::pin(run(args, &env, &mut io)).await;
            (code, captured.stdout(), captured.stderr())
        }
    }

    fn foreign_rule() -> CorsRule {
        CorsRule {
            id: Some("theirs".into()),
            allowed_origins: vec!["https://theirs.example".into()],
            allowed_methods: vec!["DELETE".into()],
            ..CorsRule::default()
        }
    }

    #[tokio::test]
    async fn rules_of_others_stay_and_ours_is_replaced() {
        let bucket = Bucket::new().await;
        bucket
            .client
            .put_bucket_cors(&[foreign_rule()])
            .await
            .unwrap();
        let (code, out, err) = bucket.doctor(&["--fix-cors"], Some("y\n")).await;
        assert_eq!(code, 0, "{out}{err}");
        assert!(
            out.contains("The other CORS rule stays as it is.") && out.contains("+ "),
            "{out}"
        );
        assert!(!out.contains("\n- "), "{out}");
        assert!(err.contains("Set this? [y/N]"), "{err}");
        let any = CorsRule::for_grants(vec!["*".into()]);
        let rules = bucket.client.get_bucket_cors().await.unwrap();
        assert_eq!(rules, [foreign_rule(), any.clone()]);

        let named = [
            "--fix-cors",
            "--yes",
            "--json",
            "--origin",
            "https://a.example/",
        ];
        let (code, out, err) = bucket.doctor(&named, None).await;
        assert_eq!((code, err.as_str()), (0, ""));
        let json: Value = serde_json::from_str(&out).unwrap();
        assert_eq!(json["change"], "replace");
        assert_eq!(json["before"], rule_json(&any));
        assert_eq!(
            json["after"]["AllowedOrigins"],
            json!(["https://a.example"])
        );
        assert_eq!(
            (&json["applied"], &json["others"]),
            (&json!(true), &json!(1))
        );
        assert_eq!(json["checks"][0]["verdict"], "ok", "{json:#}");
        let rules = bucket.client.get_bucket_cors().await.unwrap();
        let ours = CorsRule::for_grants(vec!["https://a.example".into()]);
        assert_eq!(rules, [foreign_rule(), ours]);

        // A second time there is nothing to ask.
        let puts = bucket.server.faults().count("PutBucketCors");
        let (code, out, _) = bucket
            .doctor(&["--fix-cors", "--origin", "https://a.example"], None)
            .await;
        assert_eq!(code, 0, "{out}");
        assert!(out.contains("set already"), "{out}");
        assert_eq!(bucket.server.faults().count("PutBucketCors"), puts);
    }

    #[tokio::test]
    async fn nothing_is_changed_unless_somebody_says_so() {
        let bucket = Bucket::new().await;
        let both = ["--fix-cors", "--fix-public-read"];
        for answer in [None, Some("n\n"), Some("\n"), Some("")] {
            let (code, out, err) = bucket.doctor(&both, answer).await;
            assert_eq!(code, 8, "{out}{err}");
            assert!(
                out.contains("cidbucket") && out.contains("s3:GetObject"),
                "{out}"
            );
            assert!(err.contains("--yes"), "{err}");
        }
        let (code, out, _) = bucket
            .doctor(&["--fix-public-read", "--json"], Some("y\n"))
            .await;
        assert_eq!(code, 8);
        let json: Value = serde_json::from_str(&out).unwrap();
        assert_eq!(
            (&json["change"], &json["applied"]),
            (&json!("add"), &json!(false))
        );
        assert_eq!(bucket.client.get_bucket_cors().await.unwrap(), []);
        assert_eq!(bucket.client.get_bucket_policy().await.unwrap(), None);
    }

    #[tokio::test]
    async fn statements_of_others_stay() {
        let bucket = Bucket::new().await;
        let theirs = json!({
            "Sid": "theirs", "Effect": "Allow", "Principal": "*", "Action": "s3:GetObject",
            "Resource": "arn:aws:s3:::blocks/site/*",
        });
        let policy = json!({ "Version": "2012-10-17", "Statement": [theirs] });
        bucket
            .client
            .put_bucket_policy(&policy.to_string())
            .await
            .unwrap();
        let (code, out, err) = bucket.doctor(&["--fix-public-read"], Some("yes\n")).await;
        assert_eq!(code, 0, "{out}{err}");
        assert!(out.contains("The other policy statement stays"), "{out}");
        let policy = bucket.client.get_bucket_policy().await.unwrap().unwrap();
        let policy: Value = serde_json::from_str(&policy).unwrap();
        assert_eq!(policy["Statement"][0], theirs);
        let ours = bucket.client.public_read().unwrap().statement();
        assert_eq!(policy["Statement"][1], ours);
        assert_eq!(policy["Statement"].as_array().unwrap().len(), 2);
    }

    #[tokio::test]
    async fn what_does_not_work_is_said() {
        // The bucket is public as a whole, so the service's folder is open whatever is set.
        let bucket = Bucket::new().await;
        let wide = json!({ "Statement": {
            "Sid": "theirs", "Effect": "Allow", "Principal": "*", "Action": "s3:GetObject",
            "Resource": "arn:aws:s3:::blocks/*",
        } });
        bucket
            .client
            .put_bucket_policy(&wide.to_string())
            .await
            .unwrap();
        let (code, out, err) = bucket.doctor(&["--fix-public-read", "--yes"], None).await;
        assert_eq!(code, 1, "{out}{err}");
        assert!(err.contains("anybody can read leases"), "{err}");

        for (operation, fix, hint) in [
            ("GetBucketCors", "--fix-cors", "MinIO"),
            ("PutBucketPolicy", "--fix-public-read", "Garage"),
        ] {
            let bucket = Bucket::new().await;
            let fault = Rule::new(Fault::status(501, "NotImplemented")).operation(operation);
            bucket.server.faults().push(fault);
            let (code, _, err) = bucket.doctor(&[fix, "--yes"], None).await;
            assert_eq!(code, 1, "{err}");
            assert!(err.contains(hint), "{err}");
        }
    }
}
