//! `ListObjectsV2`.

use cidbucket_blockstore::{Error, Report, Result};

use super::{Call, Operation};
use crate::S3Client;
use crate::failure::{no_error_within, unfit};
use crate::xml::{ListPage, parse_list};

/// Which objects to list.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct ListObjectsV2<'a> {
    /// Only keys that begin with this.
    pub prefix: &'a str,
    /// Only keys after this one.
    pub start_after: Option<&'a str>,
    /// Where the page before said to go on.
    pub continuation_token: Option<&'a str>,
    /// Keys with this after the prefix are put together.
    pub delimiter: Option<&'a str>,
    /// Most keys of a page; S3's own limit of 1,000 where there is none.
    pub max_keys: Option<u16>,
}

impl<'a> ListObjectsV2<'a> {
    /// All keys that begin with `prefix`.
    pub fn with_prefix(prefix: &'a str) -> Self {
        Self {
            prefix,
            ..Self::default()
        }
    }
}

impl S3Client {
    /// Lists a page of objects.
    ///
    /// # Errors
    /// `Protocol` where the page contradicts itself or the request: keys out of order, repeated,
    /// outside of the prefix or before the start, more to come but no token.
    pub async fn list_objects_v2(&self, list: &ListObjectsV2<'_>) -> Result<ListPage> {
        let max_keys = list.max_keys.map(|max| max.to_string());
        let mut query = vec![
            ("list-type", "2"),
            ("encoding-type", "url"),
            ("prefix", list.prefix),
        ];
        let optional = [
            ("continuation-token", list.continuation_token),
            ("delimiter", list.delimiter),
            ("max-keys", max_keys.as_deref()),
            ("start-after", list.start_after),
        ];
        query.extend(
            optional
                .into_iter()
                .filter_map(|(name, value)| Some((name, value?))),
        );
        let call = Call {
            query: &query,
            ..Call::new(Operation::ListObjectsV2, "")
        };
        let page = self
            .call(&call, |answer| {
                no_error_within(&answer)?;
                parse_list(answer.body()).map_err(|error| unfit(error.to_string()))
            })
            .await
            .map_err(|failed| failed.into_error())?;
        check(&page, list).map_err(|message| {
            Error::Protocol(
                Report::new(Operation::ListObjectsV2.name(), message)
                    .with_key(list.prefix)
                    .into(),
            )
        })?;
        Ok(page)
    }
}

/// What must hold of a page, by what was asked for.
fn check(page: &ListPage, list: &ListObjectsV2<'_>) -> Result<(), &'static str> {
    if page.truncated {
        match page.next_token.as_deref() {
            None => return Err("there is more to list, but no token to ask for it"),
            Some(token) if Some(token) == list.continuation_token => {
                return Err("the page says to go on where it began");
            }
            Some(_) => {}
        }
        if page.last_key.is_none() && page.common_prefixes.is_empty() {
            return Err("a page without keys that is not the last");
        }
    }
    if page
        .objects
        .iter()
        .any(|object| !object.key.starts_with(list.prefix))
    {
        return Err("a key that does not begin with the prefix");
    }
    if let (Some(after), Some(first)) = (list.start_after, page.objects.first())
        && first.key.as_str() <= after
    {
        return Err("a key before the one to start after");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::Object;

    fn page(keys: &[&str], truncated: bool, token: Option<&str>) -> ListPage {
        ListPage {
            objects: keys
                .iter()
                .map(|key| Object {
                    key: (*key).to_owned(),
                    size: 1,
                    modified: None,
                    etag: None,
                })
                .collect(),
            truncated,
            next_token: token.map(str::to_owned),
            last_key: keys.last().map(|key| key.as_bytes().to_vec()),
            ..ListPage::default()
        }
    }

    #[test]
    fn pages_that_contradict_the_request() {
        let mut list = ListObjectsV2::with_prefix("p/");
        list.start_after = Some("p/b");
        list.continuation_token = Some("t1");
        assert_eq!(check(&page(&["p/c"], false, None), &list), Ok(()));
        assert_eq!(check(&page(&["p/c"], true, Some("t2")), &list), Ok(()));
        assert!(check(&page(&["p/c"], true, None), &list).is_err());
        assert!(check(&page(&["p/c"], true, Some("t1")), &list).is_err());
        assert!(check(&page(&[], true, Some("t2")), &list).is_err());
        assert!(check(&page(&["q/c"], false, None), &list).is_err());
        assert!(check(&page(&["p/b"], false, None), &list).is_err());
    }
}
