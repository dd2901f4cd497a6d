//! `credential_process`: a command that prints credentials.

use std::process::Stdio;
use std::time::Duration;

use cidbucket_blockstore::{Error, Report, Result};
use tokio::process::Command;
use tokio::time::timeout;
use zeroize::Zeroize;

use super::Issued;
use super::document::Document;
use super::fetch::senseless;

const SERVICE: &str = "credential_process";
const PATIENCE: Duration = Duration::from_mins(1);

/// Runs the command by the shell, as the AWS tools do, and reads the JSON that it prints.
///
/// What it prints is never repeated in an error; its standard error goes to ours.
pub(super) async fn run(command: &str) -> Result<Issued> {
    let (shell, flag) = if cfg!(windows) {
        ("cmd.exe", "/C")
    } else {
        ("sh", "-c")
    };
    let child = Command::new(shell)
        .arg(flag)
        .arg(command)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .kill_on_drop(true)
        .output();
    let failed = |what: String| Report::new("find credentials", format!("{SERVICE} {what}"));
    let mut output = match timeout(PATIENCE, child).await {
        Err(_) => {
            let report = failed(format!("did not end within {PATIENCE:?}"));
            return Err(Error::Unavailable(report.into()));
        }
        Ok(Err(error)) => {
            let report = failed("could not be run".into()).with_source(error);
            return Err(Error::Io(report.into()));
        }
        Ok(Ok(output)) => output,
    };
    if !output.status.success() {
        output.stdout.zeroize();
        let report = failed(format!("failed ({})", output.status));
        return Err(Error::Denied(report.into()));
    }
    let document = Document::parse(SERVICE, &output.stdout);
    output.stdout.zeroize();
    let document = document?;
    if document.version != Some(1) {
        return Err(senseless(SERVICE, "its Version is not 1"));
    }
    document.issued(SERVICE)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[tokio::test]
    async fn reads_what_the_command_prints() {
        let issued = run(
            r#"echo '{"Version":1,"AccessKeyId":"AKID","SecretAccessKey":"s","SessionToken":"t","Expiration":"2100-01-01T00:00:00+00:00"}'"#,
        )
        .await
        .unwrap();
        assert_eq!(issued.credentials.access_key_id(), "AKID");
        assert_eq!(issued.credentials.session_token(), Some("t"));
        assert!(issued.expires.is_some());
    }

    #[tokio::test]
    async fn errors_do_not_repeat_what_it_printed() {
        for command in [
            "echo canary; exit 3",
            "echo canary",
            r#"echo '{"Version":2,"AccessKeyId":"AKID","SecretAccessKey":"canary"}'"#,
        ] {
            let error = run(command).await.unwrap_err().to_string();
            assert!(!error.contains("canary"), "{error}");
        }
    }
}
