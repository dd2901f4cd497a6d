//! Files in the body of a request: `multipart/form-data`, a part a file, read as they come.

use bytes::{Bytes, BytesMut};
use futures::TryStreamExt;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use multer::{Field, Multipart};
use percent_encoding::percent_decode_str;

use super::failure::Failure;
use super::request_body::RequestBody;

/// Longest target of a symbolic link, in bytes.
const MAX_TARGET: usize = 4096;
/// Most bytes of a file whose lines are arguments.
pub(crate) const MAX_LINES: usize = 4 << 20;

/// The files of a request.
pub(crate) struct Upload {
    parts: Multipart<'static>,
    body: RequestBody,
}

/// One file, directory or link.
pub(crate) struct Part {
    /// Its path, of which no part is empty, `.` or `..`; empty where it has no name.
    pub(crate) path: Vec<String>,
    pub(crate) mode: Option<u32>,
    pub(crate) mtime: Option<(i64, u32)>,
    pub(crate) content: Content,
}

/// What a part is.
pub(crate) enum Content {
    File(File),
    Directory,
    /// A symbolic link to this.
    Symlink(String),
}

/// A file's bytes.
pub(crate) struct File(Box<Field<'static>>);

impl Upload {
    /// The files of a request, where it has any: where it says that it is `multipart/form-data`.
    ///
    /// # Errors
    /// Where it does so without a boundary.
    pub(crate) fn open(headers: &HeaderMap, body: &RequestBody) -> Result<Option<Self>, Failure> {
        let Some(kind) = headers.get(CONTENT_TYPE) else {
            return Ok(None);
        };
        let kind = kind.to_str().unwrap_or_default();
        let essence = kind.split(';').next().unwrap_or_default().trim();
        if !essence.eq_ignore_ascii_case("multipart/form-data") {
            return Ok(None);
        }
        let boundary = multer::parse_boundary(kind)
            .map_err(|_| Failure::client("no multipart boundary param in Content-Type"))?;
        Ok(Some(Self {
            parts: Multipart::new(body.clone(), boundary),
            body: body.clone(),
        }))
    }

    /// The next part. The one before it must have been read or dropped.
    pub(crate) async fn next(&mut self) -> Result<Option<Part>, Failure> {
        self.body.bound_head(true);
        let field = self
            .parts
            .next_field()
            .await
            .map_err(|error| broken(&error))?;
        self.body.bound_head(false);
        let Some(field) = field else {
            return Ok(None);
        };
        let path = path(field.file_name().unwrap_or_default());
        let (mode, mtime) = metadata(field.name().unwrap_or_default());
        let kind = field
            .content_type()
            .map_or("", |kind| kind.essence_str())
            .to_owned();
        let content = match kind.as_str() {
            "application/x-directory" | "multipart/form-data" => Content::Directory,
            "application/symlink" => {
                let target = File(Box::new(field)).read(MAX_TARGET).await?;
                let target = String::from_utf8(target.into())
                    .map_err(|_| Failure::client("a symbolic link leads to what is no UTF-8"))?;
                Content::Symlink(target)
            }
            _ => Content::File(File(Box::new(field))),
        };
        Ok(Some(Part {
            path,
            mode,
            mtime,
            content,
        }))
    }

    /// The next part, which must be a file.
    pub(crate) async fn next_file(&mut self) -> Result<Option<File>, Failure> {
        match self.next().await? {
            None => Ok(None),
            Some(Part {
                content: Content::File(file),
                ..
            }) => Ok(Some(file)),
            Some(_) => Err(Failure::new("expected a file")),
        }
    }
}

impl File {
    /// The next bytes of the file.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        self.0.try_next().await.map_err(|error| broken(&error))
    }

    /// The whole file, of at most `limit` bytes.
    ///
    /// # Errors
    /// [`too_large`] where it has more.
    pub(crate) async fn read(mut self, limit: usize) -> Result<Bytes, Failure> {
        let mut whole = BytesMut::new();
        while let Some(data) = self.next().await? {
            if whole.len() + data.len() > limit {
                return Err(too_large(limit));
            }
            whole.extend_from_slice(&data);
        }
        Ok(whole.freeze())
    }
}

/// A part has more than `limit` bytes.
pub(crate) fn too_large(limit: usize) -> Failure {
    Failure::new(format!("the data has more than {limit} bytes, the limit"))
}

/// What a percent-encoded file name means, as a path from the root that leads nowhere above it.
fn path(name: &str) -> Vec<String> {
    let spaced = name.replace('+', " ");
    let decoded = percent_decode_str(&spaced).decode_utf8();
    // What is not encoded right is meant as it is.
    let name = decoded.as_deref().unwrap_or(name);
    let mut path = Vec::new();
    for segment in name.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                path.pop();
            }
            segment => path.push(segment.to_owned()),
        }
    }
    path
}

/// Mode and modification time, which stand behind the part's name: `file-1?mode=0644&mtime=…`.
fn metadata(name: &str) -> (Option<u32>, Option<(i64, u32)>) {
    let Some((_, query)) = name.split_once('?') else {
        return (None, None);
    };
    let (mut mode, mut seconds, mut nanoseconds) = (None, None, None);
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        match name.as_ref() {
            "mode" => mode = u32::from_str_radix(&value, 8).ok(),
            "mtime" => seconds = value.parse().ok(),
            "mtime-nsecs" => nanoseconds = value.parse().ok().filter(|n| *n < 1_000_000_000),
            _ => {}
        }
    }
    (mode, seconds.map(|s| (s, nanoseconds.unwrap_or(0))))
}

fn broken(error: &multer::Error) -> Failure {
    let message = match error {
        multer::Error::StreamReadFailed(cause) => cause.to_string(),
        error => format!("the body is not valid multipart/form-data: {error}"),
    };
    Failure::client(message)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::HeaderValue;
    use http_body_util::Full;

    use super::*;

    fn upload(text: &str) -> Upload {
        let body = Full::new(Bytes::copy_from_slice(
            text.replace('\n', "\r\n").as_bytes(),
        ));
        let body = RequestBody::new(body, Duration::from_secs(9));
        let mut headers = HeaderMap::new();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("Multipart/Form-Data; boundary=\"b\""),
        );
        Upload::open(&headers, &body).unwrap().unwrap()
    }

    #[tokio::test]
    async fn files_directories_and_links() {
        let mut upload = upload(
            "--b\n\
             Content-Disposition: form-data; name=\"dir?mode=0755&mtime=-5&mtime-nsecs=7\"; \
             filename=\"a%20b\"\n\
             Content-Type: application/x-directory\n\
             \n\
             \n\
             --b\n\
             Content-Disposition: form-data; name=\"file-1\"; filename=\"a%20b%2Fc+d\"\n\
             Content-Type: application/octet-stream\n\
             \n\
             one\ntwo\n\
             --b\n\
             Content-Disposition: form-data; name=\"link\"; filename=\"/x/../l\"\n\
             Content-Type: application/symlink\n\
             \n\
             a b/c d\n\
             --b\n\
             Content-Disposition: form-data; name=\"file\"\n\
             \n\
             \n\
             --b--\n",
        );
        let part = upload.next().await.unwrap().unwrap();
        assert_eq!(part.path, ["a b"]);
        assert_eq!((part.mode, part.mtime), (Some(0o755), Some((-5, 7))));
        assert!(matches!(part.content, Content::Directory));
        let part = upload.next().await.unwrap().unwrap();
        assert_eq!(part.path, ["a b", "c d"]);
        let Content::File(file) = part.content else {
            panic!("no file");
        };
        assert_eq!(file.read(100).await.unwrap(), "one\r\ntwo");
        let part = upload.next().await.unwrap().unwrap();
        assert_eq!(part.path, ["l"]);
        assert!(matches!(part.content, Content::Symlink(target) if target == "a b/c d"));
        let file = upload.next_file().await.unwrap().unwrap();
        assert_eq!(file.read(0).await.unwrap(), "");
        assert!(upload.next().await.unwrap().is_none());
    }

    #[tokio::test]
    async fn what_breaks_off_is_no_file() {
        for text in [
            "",
            "--b\nContent-Disposition: form-data; name=\"file\"\n",
            "--b\nContent-Disposition: form-data; name=\"file\"\n\nabc",
            "--b\nContent-Disposition: form-data; name=\"file\"\n\nabc\n--",
        ] {
            let mut upload = upload(text);
            let read = async {
                match upload.next_file().await? {
                    Some(file) => file.read(100).await.map(Some),
                    None => Ok(None),
                }
            };
            assert!(read.await.is_err(), "{text:?}");
        }
    }

    #[tokio::test]
    async fn limits() {
        let text = "--b\nContent-Disposition: form-data; name=\"file\"\n\nabc\n--b--\n";
        for (limit, fits) in [(3, true), (2, false)] {
            let file = upload(text).next_file().await.unwrap().unwrap();
            assert_eq!(file.read(limit).await.is_ok(), fits);
        }
    }

    #[test]
    fn paths_do_not_lead_out() {
        for (name, expected) in [
            ("", &[][..]),
            ("/", &[]),
            ("..", &[]),
            ("../../etc/passwd", &["etc", "passwd"]),
            ("%2e%2e%2Fa", &["a"]),
            ("a//b/./c", &["a", "b", "c"]),
            ("100%", &["100%"]),
        ] {
            assert_eq!(path(name), expected, "{name}");
        }
    }
}
