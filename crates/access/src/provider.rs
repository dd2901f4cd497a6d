//! The cryptography behind `jsonwebtoken`: HMAC of the `hmac` crate, Ed25519 of `ring`.
//!
//! `jsonwebtoken` takes its algorithms from a provider that is one for the whole process. Those it
//! comes with bring RSA and NIST curves along, which nothing here uses, so this one has the two that
//! are used and refuses all others.

use std::sync::OnceLock;

use hmac::{Hmac, KeyInit, Mac};
use jsonwebtoken::crypto::{self, CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{Error, ErrorKind, new_error};
use jsonwebtoken::signature::{self, Signer, Verifier};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, EncodingKey};
use ring::signature::{ED25519, Ed25519KeyPair, UnparsedPublicKey};
use sha2::Sha256;

static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: signer,
    verifier_factory: verifier,
    key_utils: KeyUtils::new_unimplemented(),
};

/// Makes sure that the process has a provider for our algorithms: ours, or that of the embedding
/// program if it was first and is found to sign and verify the vectors of the RFCs.
///
/// False where that other provider does not: then no token can be trusted.
pub(crate) fn is_ready() -> bool {
    static READY: OnceLock<bool> = OnceLock::new();
    *READY.get_or_init(|| PROVIDER.install_default().is_ok() || knows_the_vectors())
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature is the library's"
)]
fn signer(algorithm: &Algorithm, key: &EncodingKey) -> Result<Box<dyn JwtSigner>, Error> {
    match (algorithm, key.family()) {
        (Algorithm::HS256, AlgorithmFamily::Hmac) => Ok(Box::new(Hs256::new(key.as_bytes())?)),
        (Algorithm::EdDSA, AlgorithmFamily::Ed) => {
            let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(key.as_bytes())
                .map_err(|_| new_error(ErrorKind::InvalidEddsaKey))?;
            Ok(Box::new(EdDsaSigner(pair)))
        }
        _ => Err(new_error(ErrorKind::UnsupportedAlgorithm)),
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature is the library's"
)]
fn verifier(algorithm: &Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>, Error> {
    let bytes = key.try_get_as_bytes()?;
    match (algorithm, key.family()) {
        (Algorithm::HS256, AlgorithmFamily::Hmac) => Ok(Box::new(Hs256::new(bytes)?)),
        (Algorithm::EdDSA, AlgorithmFamily::Ed) => {
            let key = bytes
                .try_into()
                .map_err(|_| new_error(ErrorKind::InvalidEddsaKey))?;
            Ok(Box::new(EdDsaVerifier(UnparsedPublicKey::new(
                &ED25519, key,
            ))))
        }
        _ => Err(new_error(ErrorKind::UnsupportedAlgorithm)),
    }
}

struct Hs256(Hmac<Sha256>);

impl Hs256 {
    fn new(secret: &[u8]) -> Result<Self, Error> {
        Hmac::new_from_slice(secret)
            .map(Self)
            .map_err(|_| new_error(ErrorKind::InvalidKeyFormat))
    }
}

impl Signer<Vec<u8>> for Hs256 {
    fn try_sign(&self, message: &[u8]) -> Result<Vec<u8>, signature::Error> {
        let code = self.0.clone().chain_update(message).finalize();
        Ok(code.into_bytes().to_vec())
    }
}

impl Verifier<Vec<u8>> for Hs256 {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), signature::Error> {
        // Compares in constant time, and the length first.
        let hmac = self.0.clone().chain_update(message);
        hmac.verify_slice(signature)
            .map_err(|_| signature::Error::new())
    }
}

impl JwtSigner for Hs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}

impl JwtVerifier for Hs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}

struct EdDsaSigner(Ed25519KeyPair);

impl Signer<Vec<u8>> for EdDsaSigner {
    fn try_sign(&self, message: &[u8]) -> Result<Vec<u8>, signature::Error> {
        Ok(self.0.sign(message).as_ref().to_vec())
    }
}

impl JwtSigner for EdDsaSigner {
    fn algorithm(&self) -> Algorithm {
        Algorithm::EdDSA
    }
}

struct EdDsaVerifier(UnparsedPublicKey<[u8; 32]>);

impl Verifier<Vec<u8>> for EdDsaVerifier {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), signature::Error> {
        self.0
            .verify(message, signature)
            .map_err(|_| signature::Error::new())
    }
}

impl JwtVerifier for EdDsaVerifier {
    fn algorithm(&self) -> Algorithm {
        Algorithm::EdDSA
    }
}

/// Whether the process's provider signs as RFC 7515 A.1 and RFC 8037 A.4 do, accepts that, and
/// refuses it for another message.
fn knows_the_vectors() -> bool {
    vectors::all().into_iter().all(|vector| {
        let signed = crypto::sign(vector.message, &vector.private, vector.algorithm);
        let verify = |message: &[u8]| {
            crypto::verify(vector.signature, message, &vector.public, vector.algorithm)
        };
        signed.is_ok_and(|signed| signed == vector.signature)
            && verify(vector.message).is_ok_and(|good| good)
            && !verify(b"another message").is_ok_and(|good| good)
    })
}

/// The examples of the RFCs.
mod vectors {
    use data_encoding::BASE64URL_NOPAD;
    use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey};

    use crate::signing_key::pkcs8;

    pub(super) struct Vector {
        pub(super) algorithm: Algorithm,
        pub(super) private: EncodingKey,
        pub(super) public: DecodingKey,
        pub(super) message: &'static [u8],
        pub(super) signature: &'static str,
    }

    pub(super) fn all() -> [Vector; 2] {
        let secret = decode(
            "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow",
        );
        let mut seed = [0; 32];
        seed.copy_from_slice(&decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"));
        [
            Vector {
                algorithm: Algorithm::HS256,
                private: EncodingKey::from_secret(&secret),
                public: DecodingKey::from_secret(&secret),
                message: b"eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.\
                    eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ",
                signature: "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
            },
            Vector {
                algorithm: Algorithm::EdDSA,
                private: EncodingKey::from_ed_der(&*pkcs8(&seed)),
                public: DecodingKey::from_ed_der(&decode(
                    "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
                )),
                message: b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc",
                signature: "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
            },
        ]
    }

    fn decode(text: &str) -> Vec<u8> {
        BASE64URL_NOPAD
            .decode(text.as_bytes())
            .expect("base64url of the RFC")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vectors_of_the_rfcs() {
        assert!(is_ready());
        assert!(knows_the_vectors());
        assert!(is_ready(), "asked again");
    }

    #[test]
    fn a_key_of_another_family_is_refused() {
        for vector in vectors::all() {
            for algorithm in [
                Algorithm::HS256,
                Algorithm::HS384,
                Algorithm::EdDSA,
                Algorithm::RS256,
                Algorithm::ES256,
            ] {
                let same = algorithm == vector.algorithm;
                assert_eq!(signer(&algorithm, &vector.private).is_ok(), same);
                assert_eq!(verifier(&algorithm, &vector.public).is_ok(), same);
            }
        }
    }
}
