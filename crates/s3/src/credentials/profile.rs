//! A profile of the AWS tools' `config` and `credentials` files.

use std::path::Path;

use async_trait::async_trait;
use cidbucket_blockstore::{Error, Report, Result};
use futures::future::{BoxFuture, FutureExt};

use super::sts::{Role, Sts};
use super::{
    Container, Environment, Found, InstanceMetadata, Issued, Source, credentials, process,
    web_identity,
};
use crate::config::{Env, Profiles, Properties};
use crate::transport::HttpClient;

/// The credentials of a profile: its keys; a role taken with those of `source_profile` or
/// `credential_source`, or with `web_identity_token_file`; or what its `credential_process` prints.
#[derive(Debug, Clone)]
pub struct Profile {
    env: Env,
    name: Option<String>,
    http: HttpClient,
}

impl Profile {
    /// The profile `name`, or `AWS_PROFILE`, or `default`, of the files that `env` points to.
    pub fn new(env: Env, name: Option<&str>, http: HttpClient) -> Self {
        Self {
            env,
            name: name.map(str::to_owned),
            http,
        }
    }
}

#[async_trait]
impl Source for Profile {
    fn name(&self) -> &'static str {
        "profile files"
    }

    async fn load(&self) -> Result<Found> {
        // Two small files of the home folder; read anew, since other tools renew what is in them.
        let profiles = Profiles::load(&self.env)?;
        let (name, named) = Profiles::name(self.name.as_deref(), &self.env);
        if profiles.select(name, named)?.is_none() {
            return Ok(Found::Nothing(
                "there is no profile \"default\" in ~/.aws/config and ~/.aws/credentials".into(),
            ));
        }
        let lookup = Lookup {
            profiles: &profiles,
            env: &self.env,
            http: &self.http,
        };
        lookup.resolve(name, &mut Vec::new()).await
    }
}

struct Lookup<'a> {
    profiles: &'a Profiles,
    env: &'a Env,
    http: &'a HttpClient,
}

impl<'a> Lookup<'a> {
    /// `path`: the profiles that led here by `source_profile`.
    fn resolve<'b>(
        &'b self,
        name: &'b str,
        path: &'b mut Vec<String>,
    ) -> BoxFuture<'b, Result<Found>> {
        async move {
            let profile = self
                .profiles
                .select(name, true)?
                .expect("a named profile exists or is an error");
            let itself = path.last().is_some_and(|last| last == name);
            if !itself && path.iter().any(|seen| seen == name) {
                return Err(invalid(format!(
                    "the profiles {} -> {name} name each other as source_profile",
                    path.join(" -> ")
                )));
            }
            // As a source, a profile's own keys come before its role.
            if !path.is_empty()
                && let Some(issued) = keys(name, profile)?
            {
                return Ok(Found::Credentials(issued));
            }
            if itself {
                return Err(invalid(format!(
                    "profile {name:?} is its own source_profile, but has no keys"
                )));
            }
            if let Some(arn) = profile.get("role_arn") {
                return self.role(name, profile, arn, path).await;
            }
            if let Some(issued) = keys(name, profile)? {
                return Ok(Found::Credentials(issued));
            }
            if profile.get("sso_session").is_some() || profile.get("sso_start_url").is_some() {
                return Err(invalid(format!(
                    "profile {name:?} signs in through IAM Identity Center (SSO), which only the \
                     AWS CLI does: run `aws sso login --profile {name}`, then name another profile \
                     that has `credential_process = aws configure export-credentials --profile \
                     {name}`, or run `eval \"$(aws configure export-credentials --profile {name} \
                     --format env)\"`"
                )));
            }
            if let Some(command) = profile.get("credential_process") {
                return process::run(command).await.map(Found::Credentials);
            }
            Ok(Found::Nothing(
                format!("profile {name:?} has no credentials").into(),
            ))
        }
        .boxed()
    }

    async fn role(
        &self,
        name: &str,
        profile: &'a Properties,
        arn: &str,
        path: &mut Vec<String>,
    ) -> Result<Found> {
        let role = Role {
            arn,
            session: profile.get("role_session_name"),
            external_id: profile.get("external_id"),
            seconds: profile.get("duration_seconds"),
        };
        let sts = Sts::find(self.env, Some((self.profiles, profile)));
        if let Some(file) = profile.get("web_identity_token_file") {
            let issued = web_identity::exchange(&sts, self.http, &role, Path::new(file)).await?;
            return Ok(Found::Credentials(issued));
        }
        if profile.get("mfa_serial").is_some() {
            return Err(invalid(format!(
                "profile {name:?} asks for a code (mfa_serial), which only the AWS CLI can ask \
                 for: run `eval \"$(aws configure export-credentials --profile {name} --format \
                 env)\"`"
            )));
        }
        let base = match (
            profile.get("source_profile"),
            profile.get("credential_source"),
        ) {
            (Some(source), None) => {
                path.push(name.to_owned());
                self.resolve(source, path).await?
            }
            (None, Some("Environment")) => Environment::new(self.env.clone()).load().await?,
            (None, Some("EcsContainer")) => {
                Container::new(self.env.clone(), self.http.clone())
                    .load()
                    .await?
            }
            (None, Some("Ec2InstanceMetadata")) => {
                InstanceMetadata::new(self.env.clone(), self.http.clone())
                    .load()
                    .await?
            }
            (None, Some(other)) => {
                return Err(invalid(format!(
                    "profile {name:?} has credential_source = {other}; known are Environment, \
                     EcsContainer and Ec2InstanceMetadata"
                )));
            }
            (Some(_), Some(_)) | (None, None) => {
                return Err(invalid(format!(
                    "profile {name:?} has a role_arn and needs exactly one of source_profile, \
                     credential_source and web_identity_token_file"
                )));
            }
        };
        let base = match base {
            Found::Credentials(base) => base,
            Found::Nothing(why) => {
                return Err(invalid(format!(
                    "profile {name:?} has no credentials to take its role with: {why}"
                )));
            }
        };
        let issued = sts.assume_role(self.http, &role, &base.credentials).await?;
        Ok(Found::Credentials(issued))
    }
}

fn keys(name: &str, profile: &Properties) -> Result<Option<Issued>> {
    match (
        profile.get("aws_access_key_id"),
        profile.get("aws_secret_access_key"),
    ) {
        (Some(id), Some(secret)) => {
            let token = profile.get("aws_session_token");
            Ok(Some(Issued::new(credentials(id, secret, token))))
        }
        (None, None) => Ok(None),
        (Some(_), None) => Err(invalid(format!(
            "profile {name:?} has aws_access_key_id, but no aws_secret_access_key"
        ))),
        (None, Some(_)) => Err(invalid(format!(
            "profile {name:?} has aws_secret_access_key, but no aws_access_key_id"
        ))),
    }
}

fn invalid(message: String) -> Error {
    Error::Invalid(Report::new("find credentials", message).into())
}

#[cfg(test)]
mod tests {
    use super::super::fake::{FakeServer, Reply, http};
    use super::*;

    struct Home {
        folder: tempfile::TempDir,
        env: Env,
    }

    impl Home {
        fn new(config: &str, credentials: &str) -> Self {
            let folder = tempfile::tempdir().unwrap();
            std::fs::create_dir(folder.path().join(".aws")).unwrap();
            std::fs::write(folder.path().join(".aws/config"), config).unwrap();
            std::fs::write(folder.path().join(".aws/credentials"), credentials).unwrap();
            let env = Env::empty().with("HOME", folder.path().to_str().unwrap());
            Self { folder, env }
        }

        async fn load(&self, name: Option<&str>) -> Result<Found> {
            Profile::new(self.env.clone(), name, http()).load().await
        }

        async fn id(&self, name: Option<&str>) -> String {
            match self.load(name).await {
                Ok(Found::Credentials(issued)) => issued.credentials.access_key_id().to_owned(),
                other => format!("{other:?}"),
            }
        }
    }

    #[tokio::test]
    async fn takes_the_keys_of_the_profile() {
        let mut home = Home::new(
            "[profile in-config]\naws_access_key_id = C\naws_secret_access_key = s\n",
            "[default]\naws_access_key_id = D\naws_secret_access_key = s\n\
             [other]\naws_access_key_id = O\naws_secret_access_key = s\naws_session_token = t\n\
             [half]\naws_access_key_id = H\n",
        );
        assert_eq!(home.id(None).await, "D");
        assert_eq!(home.id(Some("in-config")).await, "C");
        home.env = home.env.clone().with("AWS_PROFILE", "other");
        assert_eq!(home.id(None).await, "O");
        assert_eq!(home.id(Some("default")).await, "D");
        assert!(matches!(
            home.load(Some("half")).await,
            Err(Error::Invalid(_))
        ));
        assert!(matches!(
            home.load(Some("absent")).await,
            Err(Error::Invalid(_))
        ));
        // Renewed by another tool, read again.
        std::fs::write(
            home.folder.path().join(".aws/credentials"),
            "[other]\naws_access_key_id = N\naws_secret_access_key = s\n",
        )
        .unwrap();
        assert_eq!(home.id(None).await, "N");
    }

    #[tokio::test]
    async fn no_files_and_no_keys_are_nothing() {
        let home = Home::new("[profile region-only]\nregion = r\n", "");
        assert!(matches!(home.load(None).await, Ok(Found::Nothing(_))));
        assert!(matches!(
            home.load(Some("region-only")).await,
            Ok(Found::Nothing(_))
        ));
    }

    #[tokio::test]
    async fn takes_a_role_signed_with_the_source_profile() {
        let server = FakeServer::start(|_| {
            Reply::text(
                "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>ROLE</AccessKeyId>\
                 <SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>\
                 <Expiration>2100-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult>\
                 </AssumeRoleResponse>",
            )
        })
        .await;
        let config = format!(
            "[profile role]\nrole_arn = arn:r\nsource_profile = base\nexternal_id = x\n\
             duration_seconds = 900\nregion = eu-west-1\nservices = l\n\
             [profile itself]\nrole_arn = arn:r\nsource_profile = itself\nservices = l\n\
             aws_access_key_id = I\naws_secret_access_key = s\n\
             [services l]\nsts =\n  endpoint_url = {}\n",
            server.url("")
        );
        let home = Home::new(
            &config,
            "[base]\naws_access_key_id = B\naws_secret_access_key = s\n",
        );
        assert_eq!(home.id(Some("role")).await, "ROLE");
        assert_eq!(home.id(Some("itself")).await, "ROLE");
        let request = server.requests().remove(0);
        assert!(
            request.contains("authorization: AWS4-HMAC-SHA256 Credential=B/"),
            "{request}"
        );
        assert!(request.contains("/eu-west-1/sts/aws4_request"), "{request}");
        assert!(
            request.contains("&ExternalId=x&DurationSeconds=900"),
            "{request}"
        );
        assert!(server.requests()[1].contains("Credential=I/"));
    }

    #[tokio::test]
    async fn says_what_to_do_where_it_cannot_go_on() {
        let home = Home::new(
            "[profile a]\nrole_arn = r\nsource_profile = b\n\
             [profile b]\nrole_arn = r\nsource_profile = a\n\
             [profile alone]\nrole_arn = r\n\
             [profile own]\nrole_arn = r\nsource_profile = own\n\
             [profile sso]\nsso_session = s\n\
             [profile mfa]\nrole_arn = r\nsource_profile = a\nmfa_serial = m\n",
            "",
        );
        for (name, words) in [
            ("a", "a -> b -> a name each other"),
            ("alone", "needs exactly one of source_profile"),
            ("own", "its own source_profile"),
            ("sso", "aws sso login --profile sso"),
            ("mfa", "export-credentials --profile mfa"),
        ] {
            let error = home.load(Some(name)).await.unwrap_err();
            assert!(matches!(error, Error::Invalid(_)), "{error}");
            assert!(error.to_string().contains(words), "{error}");
        }
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn runs_the_process_of_the_profile() {
        let home = Home::new(
            "[default]\ncredential_process = echo '{\"Version\":1,\"AccessKeyId\":\"P\",\"SecretAccessKey\":\"s\"}'\n",
            "",
        );
        assert_eq!(home.id(None).await, "P");
    }
}
