//! The AWS tools' shared `config` and `credentials` files.
//!
//! The format is that of the AWS SDKs and Tools Reference Guide, "Using shared config and
//! credentials files to globally configure AWS SDKs and tools".

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use cidbucket_blockstore::{Error, Report, Result};
use zeroize::Zeroize;

use super::Env;

/// Every profile of both files, merged.
#[derive(Clone, Default)]
pub(crate) struct Profiles {
    profiles: BTreeMap<String, Properties>,
    services: BTreeMap<String, Properties>,
}

/// One section's properties. A nested property `endpoint_url` under `s3 =` is `s3.endpoint_url`.
#[derive(Clone, Default)]
pub(crate) struct Properties(BTreeMap<String, String>);

impl Profiles {
    /// Reads `AWS_CONFIG_FILE` (or `~/.aws/config`), then `AWS_SHARED_CREDENTIALS_FILE` (or
    /// `~/.aws/credentials`), which wins. A missing file is an empty one; one that cannot be read
    /// or parsed is an error.
    pub(crate) fn load(env: &Env) -> Result<Self> {
        let mut profiles = Self::default();
        if let Some(path) = file(env, "AWS_CONFIG_FILE", "config") {
            profiles.read(&path, Kind::Config)?;
        }
        if let Some(path) = file(env, "AWS_SHARED_CREDENTIALS_FILE", "credentials") {
            profiles.read(&path, Kind::Credentials)?;
        }
        Ok(profiles)
    }

    /// The profile to use, and whether somebody named it: explicitly, or by `AWS_PROFILE`.
    pub(crate) fn name<'a>(explicit: Option<&'a str>, env: &'a Env) -> (&'a str, bool) {
        explicit
            .or_else(|| env.get("AWS_PROFILE"))
            .or_else(|| env.get("AWS_DEFAULT_PROFILE"))
            .map_or(("default", false), |name| (name, name != "default"))
    }

    /// The profile of this name.
    #[cfg(test)]
    fn get(&self, name: &str) -> Option<&Properties> {
        self.profiles.get(name)
    }

    /// The profile `name`, which must exist where somebody named it.
    pub(crate) fn select(&self, name: &str, named: bool) -> Result<Option<&Properties>> {
        match self.profiles.get(name) {
            Some(profile) => Ok(Some(profile)),
            None if !named => Ok(None),
            None => Err(invalid(format!(
                "there is no profile {name:?} in the AWS config and credentials files; they have: {}",
                if self.profiles.is_empty() {
                    "none".to_owned()
                } else {
                    self.profiles.keys().cloned().collect::<Vec<_>>().join(", ")
                }
            ))),
        }
    }

    /// The endpoint that a profile sets for `service` (`s3`, `sts`), or for all services.
    pub(crate) fn endpoint_url<'a>(
        &'a self,
        profile: &'a Properties,
        service: &str,
    ) -> Option<&'a str> {
        profile
            .get("services")
            .and_then(|name| self.services.get(name))
            .and_then(|services| services.get(&format!("{service}.endpoint_url")))
            .or_else(|| profile.get("endpoint_url"))
    }

    fn read(&mut self, path: &Path, kind: Kind) -> Result<()> {
        let mut text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            // A folder in the place of a file of the home folder is as good as no file.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => {
                return Err(Error::Io(
                    Report::new("read AWS configuration", "cannot read the file")
                        .with_key(path.display().to_string())
                        .with_source(error)
                        .into(),
                ));
            }
        };
        let parsed = self.parse(&text, kind, path);
        text.zeroize();
        parsed
    }

    fn parse(&mut self, text: &str, kind: Kind, path: &Path) -> Result<()> {
        let mut section = Section::None;
        let mut last: Option<String> = None;
        for (number, raw) in text.trim_start_matches('\u{feff}').lines().enumerate() {
            // A line's text is never quoted: it may hold a secret.
            let bad = |what: &str| {
                invalid(format!(
                    "{what} in line {} of {}",
                    number + 1,
                    path.display()
                ))
            };
            let line = raw.trim();
            if line.is_empty() || line.starts_with(['#', ';']) {
                continue;
            }
            if let Some(rest) = line.strip_prefix('[') {
                let name = rest
                    .split_once(']')
                    .ok_or_else(|| bad("a section without \"]\""))?
                    .0;
                section = Section::of(name, kind);
                if let Section::Profile(name) = &section {
                    // Also a profile without properties exists.
                    self.profiles.entry(name.clone()).or_default();
                }
                last = None;
                continue;
            }
            let indented = raw.starts_with([' ', '\t']);
            let properties = match &section {
                Section::None => return Err(bad("a property before the first section")),
                Section::Other => continue,
                Section::Profile(name) => self.profiles.entry(name.clone()).or_default(),
                Section::Services(name) => self.services.entry(name.clone()).or_default(),
            };
            if indented && let Some(parent) = &last {
                // A nested property, or the continuation of a value, which no property we read has.
                if let Some((name, value)) = line.split_once('=') {
                    let name = format!("{parent}.{}", name.trim().to_ascii_lowercase());
                    properties.0.insert(name, value_of(value).to_owned());
                }
                continue;
            }
            let (name, value) = line
                .split_once('=')
                .ok_or_else(|| bad("a property without \"=\""))?;
            let name = name.trim().to_ascii_lowercase();
            if name.is_empty() {
                return Err(bad("a property without a name"));
            }
            let value = value_of(value);
            last = value.is_empty().then(|| name.clone());
            properties.0.insert(name, value.to_owned());
        }
        Ok(())
    }
}

impl Properties {
    /// The property's value; `None` where it is missing or empty.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }
}

impl Drop for Properties {
    fn drop(&mut self) {
        for value in self.0.values_mut() {
            value.zeroize();
        }
    }
}

/// Names only: values may be secrets.
impl fmt::Debug for Properties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl fmt::Debug for Profiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(&self.profiles).finish()
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Config,
    Credentials,
}

enum Section {
    None,
    Profile(String),
    Services(String),
    Other,
}

impl Section {
    fn of(name: &str, kind: Kind) -> Self {
        let name = name.trim();
        let unquote = |name: &str| name.trim().trim_matches(['"', '\'']).to_owned();
        if kind == Kind::Credentials {
            return Self::Profile(unquote(name));
        }
        match name.split_once(char::is_whitespace) {
            None if name == "default" => Self::Profile(name.to_owned()),
            Some(("profile", name)) => Self::Profile(unquote(name)),
            Some(("services", name)) => Self::Services(unquote(name)),
            _ => Self::Other,
        }
    }
}

/// A value without the blanks around it and without a comment, which a blank must precede.
fn value_of(text: &str) -> &str {
    let end = [" #", " ;", "\t#", "\t;"]
        .iter()
        .filter_map(|mark| text.find(mark))
        .min()
        .unwrap_or(text.len());
    text[..end].trim()
}

fn file(env: &Env, variable: &str, name: &str) -> Option<PathBuf> {
    match env.get(variable) {
        Some(path) => Some(match (path.strip_prefix("~/"), env.home()) {
            (Some(rest), Some(home)) => home.join(rest),
            _ => PathBuf::from(path),
        }),
        None => Some(env.home()?.join(".aws").join(name)),
    }
}

fn invalid(message: String) -> Error {
    Error::Invalid(Report::new("read AWS configuration", message).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(config: &str, credentials: &str) -> Result<Profiles> {
        let mut profiles = Profiles::default();
        profiles.parse(config, Kind::Config, Path::new("config"))?;
        profiles.parse(credentials, Kind::Credentials, Path::new("credentials"))?;
        Ok(profiles)
    }

    #[test]
    fn follows_the_aws_rules() {
        let profiles = parse(
            "\u{feff}# a comment\n\
             [default]\nregion = eu-west-1 ; the near one\n\
             [profile dev]\nRegion=us-west-2\nendpoint_url = https://a.example#x\n\
             services = local\naws_access_key_id = from-config\n\
             s3 =\n  addressing_style = path\n  endpoint_url = nested\n\
             [profile \"two words\"]\nregion = r\n\
             [ignored]\nregion = never\n\
             [services local]\ns3 =\n  endpoint_url = http://127.0.0.1:9000\nsts =\n  endpoint_url = http://127.0.0.1:9001\n",
            "[dev]\naws_access_key_id = from-credentials\naws_secret_access_key = a=b/c+d#e\n[dev]\naws_session_token = t\n",
        )
        .unwrap();
        let get =
            |profile: &str, name: &str| profiles.get(profile).unwrap().get(name).map(str::to_owned);
        assert_eq!(get("default", "region").as_deref(), Some("eu-west-1"));
        assert_eq!(get("dev", "region").as_deref(), Some("us-west-2"));
        assert_eq!(
            get("dev", "aws_access_key_id").as_deref(),
            Some("from-credentials")
        );
        assert_eq!(
            get("dev", "aws_secret_access_key").as_deref(),
            Some("a=b/c+d#e")
        );
        assert_eq!(get("dev", "aws_session_token").as_deref(), Some("t"));
        assert_eq!(get("dev", "s3.addressing_style").as_deref(), Some("path"));
        assert_eq!(
            get("dev", "endpoint_url").as_deref(),
            Some("https://a.example#x")
        );
        assert_eq!(get("two words", "region").as_deref(), Some("r"));
        assert!(profiles.get("ignored").is_none());
        let dev = profiles.get("dev").unwrap();
        assert_eq!(
            profiles.endpoint_url(dev, "s3"),
            Some("http://127.0.0.1:9000")
        );
        assert_eq!(
            profiles.endpoint_url(dev, "sts"),
            Some("http://127.0.0.1:9001")
        );
        assert_eq!(
            profiles.endpoint_url(dev, "sqs"),
            Some("https://a.example#x")
        );
    }

    #[test]
    fn a_bad_line_is_named_but_not_quoted() {
        for (text, line) in [
            ("aws_secret_access_key = canary\n", "line 1"),
            ("[default]\ncanary\n", "line 2"),
            ("[default\n", "line 1"),
            ("[default]\n = canary\n", "line 2"),
        ] {
            let error = parse("", text).unwrap_err().to_string();
            assert!(error.contains(line), "{error}");
            assert!(!error.contains("canary"), "{error}");
        }
    }

    #[test]
    fn only_the_default_profile_may_be_missing() {
        let profiles = parse("[profile a]\nregion = r\n", "").unwrap();
        assert!(profiles.select("default", false).unwrap().is_none());
        let error = profiles.select("b", true).unwrap_err().to_string();
        assert!(
            error.contains("\"b\"") && error.contains("they have: a"),
            "{error}"
        );
    }

    #[test]
    fn debug_hides_values() {
        let profiles = parse("", "[p]\naws_secret_access_key = canary\n").unwrap();
        assert!(!format!("{profiles:?}").contains("canary"));
    }

    #[test]
    fn missing_files_are_empty_and_unreadable_ones_are_errors() {
        let folder = tempfile::tempdir().unwrap();
        let env = Env::empty().with("HOME", folder.path().to_str().unwrap());
        assert!(Profiles::load(&env).unwrap().get("default").is_none());
        std::fs::create_dir(folder.path().join(".aws")).unwrap();
        std::fs::write(folder.path().join(".aws/credentials"), [0xff, 0xfe]).unwrap();
        assert!(matches!(Profiles::load(&env), Err(Error::Io(_))));
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_or_an_error(text in "([\\[\\]=#; \\ta-c]{0,12}\n){0,8}") {
            let _ = parse(&text, &text);
        }
    }
}
