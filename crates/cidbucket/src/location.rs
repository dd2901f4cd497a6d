//! Where a store is, written as a URL.

use std::fmt;
#[cfg(feature = "folder")]
use std::path::PathBuf;
use std::sync::Arc;

#[cfg(feature = "folder")]
use cidbucket_blockstore::FolderBlockstore;
use cidbucket_blockstore::{Blockstore, Error, MemoryBlockstore, Report, Result};
#[cfg(feature = "s3")]
use cidbucket_cache::{CacheOptions, CachedBlockstore};
#[cfg(feature = "direct")]
use cidbucket_client::{DirectBlockstore, DirectConfig, Token};
#[cfg(feature = "s3")]
use cidbucket_s3::{Env, S3Blockstore, S3Config};

/// Opens the store that a URL names: [`Location::parse`], then [`Location::open`].
pub async fn open(url: &str) -> Result<Arc<dyn Blockstore>> {
    Location::parse(url)?.open().await
}

/// Where a store is.
///
/// | URL | store | feature |
/// |---|---|---|
/// | `s3://BUCKET[/PREFIX][?…]` | a bucket; options as in `S3Config::from_url`, and `cache` | `s3` |
/// | `http(s)://HOST[…][?…]` | by way of a direct-access service; options as in `DirectConfig::new`, and `cache` | `direct` |
/// | `dir:PATH` | a folder, as Kubo's `blocks` | `folder` |
/// | `memory:` | one of its own at every opening, gone with its last reference | |
///
/// The token for a service is in the environment variable `CIDBUCKET_TOKEN`, or in the file that the
/// option `token_file` names, and never in a URL.
///
/// `cache=64MiB` keeps so much of the blocks in use in memory, see [`crate::cache`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Location {
    /// `s3://BUCKET[/PREFIX][?…]`.
    #[cfg(feature = "s3")]
    S3 {
        /// The bucket.
        config: Box<S3Config>,
        /// Bytes of memory for hot blocks; no cache where there is none.
        cache: Option<usize>,
    },
    /// `http(s)://HOST[…][?…]`.
    #[cfg(feature = "direct")]
    Direct {
        /// The service.
        config: Box<DirectConfig>,
        /// Bytes of memory for hot blocks; no cache where there is none.
        cache: Option<usize>,
    },
    /// `dir:PATH`.
    #[cfg(feature = "folder")]
    Folder(PathBuf),
    /// `memory:`.
    Memory,
}

impl Location {
    /// Reads a store's URL. What an `s3:` URL leaves open comes from this process's environment
    /// and the AWS tools' files.
    ///
    /// # Errors
    /// [`Error::Invalid`] for anything that is not such a URL; as `S3Config::from_url`.
    pub fn parse(url: &str) -> Result<Self> {
        #[cfg(feature = "s3")]
        return Self::parse_with(url, &Env::from_process());
        #[cfg(not(feature = "s3"))]
        return Self::parse_local(url);
    }

    /// [`parse`](Self::parse) with an environment of one's own.
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    #[cfg(feature = "s3")]
    pub fn parse_with(url: &str, env: &Env) -> Result<Self> {
        let is = |scheme: &str| {
            url.get(..scheme.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(scheme))
        };
        #[cfg(feature = "direct")]
        if is("http:") || is("https:") {
            let (url, cache) = split_cache(url)?;
            let mut config = DirectConfig::new(&url)?;
            if config.token.is_none()
                && let Some(token) = env.get("CIDBUCKET_TOKEN")
            {
                config.token = Some(Token::new(token)?);
            }
            return Ok(Self::Direct {
                config: Box::new(config),
                cache,
            });
        }
        if !is("s3:") {
            return Self::parse_local(url);
        }
        let (url, cache) = split_cache(url)?;
        Ok(Self::S3 {
            config: Box::new(S3Config::from_url(&url, env)?),
            cache,
        })
    }

    fn parse_local(url: &str) -> Result<Self> {
        let (scheme, rest) = url
            .split_once(':')
            .ok_or_else(|| invalid(format!("not a store URL; known are {KNOWN}")))?;
        match (scheme, rest) {
            #[cfg(feature = "folder")]
            ("dir", "") => Err(invalid("dir: needs a path, as in dir:blocks")),
            #[cfg(feature = "folder")]
            ("dir", path) => Ok(Self::Folder(path.into())),
            ("memory", "" | "//") => Ok(Self::Memory),
            ("memory", _) => Err(invalid("nothing can follow memory:")),
            // The rest is not repeated: it may hold what its writer should not have put there.
            _ => Err(invalid(format!(
                "stores of the scheme {scheme:?} are not supported; known are {KNOWN}"
            ))),
        }
    }

    /// Opens the store. Nothing is made; nothing is sent to a bucket yet.
    ///
    /// # Errors
    /// [`Error::NoStore`] where a folder is missing, or holds no blocks; as `S3Blockstore::new`.
    pub async fn open(&self) -> Result<Arc<dyn Blockstore>> {
        Ok(match self {
            #[cfg(feature = "s3")]
            Self::S3 { config, cache } => cached(S3Blockstore::new((**config).clone())?, *cache),
            #[cfg(feature = "direct")]
            Self::Direct { config, cache } => {
                cached(DirectBlockstore::new((**config).clone())?, *cache)
            }
            #[cfg(feature = "folder")]
            Self::Folder(path) => Arc::new(FolderBlockstore::open(path).await?),
            Self::Memory => Arc::new(MemoryBlockstore::new()),
        })
    }

    /// Opens the store, and makes a folder that is missing. (A bucket is never made.)
    ///
    /// # Errors
    /// [`Error::Invalid`] where the folder holds something else than blocks.
    pub async fn open_or_create(&self) -> Result<Arc<dyn Blockstore>> {
        match self {
            #[cfg(feature = "folder")]
            Self::Folder(path) => Ok(Arc::new(FolderBlockstore::create(path).await?)),
            _ => self.open().await,
        }
    }
}

/// The URL. It holds no secret.
impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            #[cfg(feature = "s3")]
            Self::S3 { config, cache } => f.write_str(&with_cache(config.to_string(), *cache)),
            #[cfg(feature = "direct")]
            Self::Direct { config, cache } => f.write_str(&with_cache(config.to_string(), *cache)),
            #[cfg(feature = "folder")]
            Self::Folder(path) => write!(f, "dir:{}", path.display()),
            Self::Memory => f.write_str("memory:"),
        }
    }
}

const KNOWN: &str = "s3://BUCKET[/PREFIX], https://HOST, dir:PATH and memory:";

/// A store, with a cache over it where one is wanted.
#[cfg(feature = "s3")]
fn cached(store: impl Blockstore + 'static, cache: Option<usize>) -> Arc<dyn Blockstore> {
    match cache {
        None => Arc::new(store),
        Some(capacity) => {
            let options = CacheOptions {
                capacity,
                ..CacheOptions::default()
            };
            Arc::new(CachedBlockstore::new(store, options))
        }
    }
}

/// A URL with `cache=SIZE`.
#[cfg(feature = "s3")]
fn with_cache(url: String, cache: Option<usize>) -> String {
    match cache {
        None => url,
        Some(bytes) => {
            let separator = if url.contains('?') { '&' } else { '?' };
            format!("{url}{separator}cache={bytes}")
        }
    }
}

/// Takes `cache=SIZE` out of a URL's query.
#[cfg(feature = "s3")]
fn split_cache(url: &str) -> Result<(String, Option<usize>)> {
    let Some((path, query)) = url.split_once('?') else {
        return Ok((url.to_owned(), None));
    };
    let (ours, rest): (Vec<&str>, Vec<&str>) = query
        .split('&')
        .partition(|pair| pair.starts_with("cache="));
    let cache = match ours[..] {
        [] => None,
        [pair] => Some(
            pair["cache=".len()..]
                .parse()
                .ok()
                .and_then(|size: bytesize::ByteSize| usize::try_from(size.as_u64()).ok())
                .ok_or_else(|| invalid("cache= must be a size such as 64MiB"))?,
        ),
        _ => return Err(invalid("option cache= is there twice")),
    };
    let separator = if rest.is_empty() { "" } else { "?" };
    Ok((format!("{path}{separator}{}", rest.join("&")), cache))
}

fn invalid(message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::Invalid(Report::new("open store", message).into())
}

#[cfg(test)]
mod tests {
    use cidbucket_blockstore::{Block, Cursor};

    use super::*;

    #[test]
    fn local_urls() {
        for url in ["memory:", "dir:blocks", "dir:/srv/a b"] {
            assert_eq!(Location::parse(url).unwrap().to_string(), url);
        }
        for url in ["", "blocks", "dir:", "memory:x", "http://secret@host"] {
            let error = Location::parse(url).unwrap_err();
            assert!(matches!(error, Error::Invalid(_)), "{url}: {error}");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }

    #[cfg(feature = "s3")]
    #[test]
    fn s3_urls_with_a_cache() {
        let env = Env::empty();
        for (url, bytes, shown) in [
            ("s3://blocks?region=r", None, "region=r"),
            (
                "s3://blocks?cache=64MiB&region=r",
                Some(64 << 20),
                "cache=67108864",
            ),
            ("S3://blocks/p?region=r&cache=100", Some(100), "cache=100"),
            ("s3://blocks?cache=1KiB", Some(1024), "cache=1024"),
        ] {
            let location = Location::parse_with(url, &env).unwrap();
            let Location::S3 { cache, .. } = &location else {
                panic!("{location:?}");
            };
            assert_eq!(*cache, bytes, "{url}");
            let text = location.to_string();
            assert!(text.contains(shown), "{text}");
            let again = Location::parse_with(&text, &env).unwrap();
            assert_eq!(again.to_string(), text);
        }
        for url in [
            "s3://blocks?cache=",
            "s3://blocks?cache=much",
            "s3://blocks?cache=1&cache=2",
            "s3:b",
            "s3://",
        ] {
            let error = Location::parse_with(url, &env).unwrap_err();
            assert!(matches!(error, Error::Invalid(_)), "{url}: {error}");
        }
    }

    #[cfg(feature = "direct")]
    #[test]
    fn service_urls_with_a_token_of_the_environment() {
        let env = Env::empty().with("CIDBUCKET_TOKEN", "canary");
        let url = "https://h.example/a?direct=never&cache=64MiB";
        let location = Location::parse_with(url, &env).unwrap();
        let Location::Direct { config, cache } = &location else {
            panic!("{location:?}");
        };
        assert!(config.token.is_some());
        assert_eq!(*cache, Some(64 << 20));
        let shown = "https://h.example/a?direct=never&cache=67108864";
        assert_eq!(location.to_string(), shown);
        assert!(!format!("{location:?}").contains("canary"));
        let none = Location::parse_with("http://h", &Env::empty()).unwrap();
        assert!(matches!(none, Location::Direct { config, .. } if config.token.is_none()));
        let error = Location::parse_with("http://canary@h", &env).unwrap_err();
        assert!(!error.to_string().contains("canary"), "{error}");
    }

    #[cfg(feature = "folder")]
    #[tokio::test]
    async fn a_folder_is_made_only_when_asked() {
        let folder =
            std::env::temp_dir().join(format!("cidbucket-location-{}", std::process::id()));
        let location = Location::Folder(folder.clone());
        assert!(matches!(location.open().await, Err(Error::NoStore(_))));
        let block = Block::raw("x");
        location
            .open_or_create()
            .await
            .unwrap()
            .put(&block)
            .await
            .unwrap();
        let store = location.open().await.unwrap();
        assert!(store.has(block.cid()).await.unwrap());
        assert_eq!(store.list(Cursor::start()).foreign(), 0);
        std::fs::remove_dir_all(folder).unwrap();
    }
}
