//! A process in which somebody else installed a provider of cryptography first, and a bad one. It
//! is a test of its own, since a process has one provider.

use cidbucket_access::{Algorithm, KeyError, SigningKey, TokenKeys};
use jsonwebtoken::crypto::{CryptoProvider, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{ErrorKind, new_error};
use jsonwebtoken::signature::{Error, Verifier};

/// Finds every signature good.
struct YesMan(jsonwebtoken::Algorithm);

impl Verifier<Vec<u8>> for YesMan {
    fn verify(&self, _: &[u8], _: &Vec<u8>) -> Result<(), Error> {
        Ok(())
    }
}

impl JwtVerifier for YesMan {
    fn algorithm(&self) -> jsonwebtoken::Algorithm {
        self.0
    }
}

static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: |_, _| Err(new_error(ErrorKind::UnsupportedAlgorithm)),
    verifier_factory: |algorithm, _| Ok(Box::new(YesMan(*algorithm))),
    key_utils: KeyUtils::new_unimplemented(),
};

#[test]
fn no_key_is_made_where_no_signature_can_be_trusted() {
    PROVIDER.install_default().unwrap();
    assert!(matches!(
        TokenKeys::from_secret(&[7; 32]),
        Err(KeyError::Provider)
    ));
    for algorithm in [Algorithm::Hs256, Algorithm::EdDsa] {
        assert!(matches!(
            SigningKey::generate(algorithm, &[7; 32]),
            Err(KeyError::Provider)
        ));
    }
    assert!(matches!(
        TokenKeys::from_jwks(br#"{"keys":[]}"#),
        Err(KeyError::Provider)
    ));
}
