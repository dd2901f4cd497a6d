//! `cidbucket token key`

use std::path::PathBuf;

use cidbucket_access::{Algorithm, SigningKey};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::bad_key;
use crate::failure::{Exit, Failure, Outcome};
use crate::session::Session;

/// Make a key that issues tokens
///
/// With eddsa, the file holds the private key, and the public one is printed: that is what a
/// service needs. With hs256, issuer and service share the file. Only its
/// owner can read the file, and a file that is there is never written over.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cidbucket token key -o issuer.json > keys.json     issuer.json issues, keys.json verifies
  cidbucket token key --alg hs256 -o secret.json     one file that does both
  cidbucket token key --public issuer.json           the public key of a key that is there")]
pub(crate) struct Args {
    /// How it signs: eddsa or hs256
    #[arg(
        long,
        value_name = "NAME",
        default_value = "eddsa",
        value_parser = |text: &str| text.parse::<Algorithm>()
    )]
    alg: Algorithm,
    /// Write the private key to FILE instead of printing it
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Make no key: print the public part of the one in FILE
    #[arg(long, value_name = "FILE", conflicts_with_all = ["output", "alg"])]
    public: Option<PathBuf>,
}

pub(crate) fn run(args: &Args, session: &mut Session<'_>) -> Outcome {
    if let Some(path) = &args.public {
        let key = SigningKey::load(path).map_err(|error| bad_key(path, &error))?;
        return match key.public_jwks() {
            Some(jwks) => print(session, &jwks),
            None => Err(Failure::usage("a secret for HS256 has no public part")
                .with_hint("give the service the file itself")
                .into()),
        };
    }
    let mut random = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *random)
        .map_err(|error| Failure::io("no randomness", &std::io::Error::other(error)))?;
    let key = SigningKey::generate(args.alg, &random)
        .map_err(|error| Failure::new(Exit::Other, "unsupported", error.to_string()))?;
    let Some(path) = &args.output else {
        return print(session, &key.to_jwk());
    };
    key.create(path).map_err(|error| bad_key(path, &error))?;
    let path = path.display();
    if let Some(jwks) = key.public_jwks() {
        session.note(format_args!(
            "{path} issues tokens: keep it to yourself. A service verifies them by this:"
        ));
        print(session, &jwks)
    } else {
        session.note(format_args!(
            "{path} issues tokens and verifies them: for you and the service alone"
        ));
        Ok(())
    }
}

/// Prints a key: as it stands in a file, or on one line.
fn print(session: &mut Session<'_>, json: &str) -> Outcome {
    if session.json {
        let value: Value = serde_json::from_str(json).unwrap_or_else(|_| json!(json));
        return session.json_line(&value);
    }
    session.line(json)
}
