//! Which form of the content a request wants (trustless-gateway, "HTTP Request"). Pure.

use std::borrow::Cow;

use cidbucket_dag::{EntityBytes, Scope};
use http::HeaderMap;

use crate::Refusal;
use crate::accept::{MediaRange, accepted};
use crate::query::Query;

/// Media type of a block.
pub(crate) const RAW: &str = "application/vnd.ipld.raw";
/// Media type of a CAR.
pub(crate) const CAR: &str = "application/vnd.ipld.car";

/// A form of the content.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Format {
    /// One block.
    Raw,
    /// A CAR.
    Car(CarParameters),
    /// A file or a directory, for people.
    File,
}

/// What a CAR is to have in it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct CarParameters {
    /// Blocks that occur several times are sent as often.
    pub(crate) dups: bool,
    pub(crate) scope: Scope,
}

/// What was negotiated.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Negotiated {
    pub(crate) format: Format,
    /// The query under which the same answer is had without `Accept`; `None` where it is had under
    /// the query that was sent.
    pub(crate) location: Option<String>,
    /// Whether the answer depended on `Accept`.
    pub(crate) varies: bool,
}

/// Finds the form. `files`: whether files and directories are answered to people.
pub(crate) fn negotiate(
    query: &Query,
    headers: &HeaderMap,
    files: bool,
) -> Result<Negotiated, Refusal> {
    let accepted = accepted(headers);
    let cars = || accepted.iter().filter(|range| range.essence == CAR);
    match query.get("format").as_deref() {
        Some("raw") => Ok(Negotiated {
            format: Format::Raw,
            location: None,
            varies: false,
        }),
        // What `Accept` says of CARs still holds.
        Some("car") => {
            let (parameters, range) = car(query, cars())?;
            let said = ["car-version", "car-order", "car-dups"];
            let all = said.iter().all(|name| query.get(name).is_some());
            Ok(Negotiated {
                location: range.and_then(|range| car_location(query, range)),
                format: Format::Car(parameters),
                varies: !all,
            })
        }
        Some(_) => Err(Refusal::not_acceptable(
            "this gateway has ?format=raw and ?format=car",
        )),
        None => by_accept(query, &accepted, files),
    }
}

fn by_accept(query: &Query, accepted: &[MediaRange], files: bool) -> Result<Negotiated, Refusal> {
    let trustless = accepted
        .iter()
        .position(|range| range.essence == RAW || range.essence == CAR);
    let Some(first) = trustless else {
        // `*/*` is what clients say that do not care, or do not know.
        let indifferent = accepted.iter().all(|range| range.essence == "*/*");
        return match (files, indifferent) {
            (true, _)
                if accepted.iter().all(|range| is_binary(&range.essence))
                    && !accepted.is_empty() =>
            {
                Err(Refusal::not_acceptable(OTHERS))
            }
            (true, _) => Ok(Negotiated {
                format: Format::File,
                location: None,
                varies: true,
            }),
            (false, true) => Err(Refusal::bad(UNSAID)),
            (false, false) => Err(Refusal::not_acceptable(OTHERS)),
        };
    };
    // A browser that also takes blocks is still a browser.
    let pages = accepted[..first]
        .iter()
        .any(|range| !is_binary(&range.essence));
    if files && pages && accepted[0].weight > accepted[first].weight {
        return Ok(Negotiated {
            format: Format::File,
            location: None,
            varies: true,
        });
    }
    if accepted[first].essence == RAW {
        return Ok(Negotiated {
            format: Format::Raw,
            location: Some(query.with(&[("format", "raw")])),
            varies: true,
        });
    }
    let cars = accepted.iter().filter(|range| range.essence == CAR);
    let (parameters, range) = car(query, cars)?;
    Ok(Negotiated {
        location: Some(
            range
                .and_then(|range| car_location(query, range))
                .unwrap_or_else(|| query.with(&[("format", "car")])),
        ),
        format: Format::Car(parameters),
        varies: true,
    })
}

const UNSAID: &str = "say which form you want: ?format=raw or ?format=car, or the like in Accept \
     (https://specs.ipfs.tech/http-gateways/trustless-gateway/)";
const OTHERS: &str = "this gateway has application/vnd.ipld.raw and application/vnd.ipld.car";

/// A form of IPFS content that is not had here.
fn is_binary(essence: &str) -> bool {
    [
        "application/vnd.ipld.",
        "application/vnd.ipfs.",
        "application/x-tar",
    ]
    .iter()
    .any(|start| essence.starts_with(start))
}

/// The parameters of a CAR: those of the query, else those of the first media range that can be
/// satisfied with them, which is answered too.
fn car<'a>(
    query: &Query,
    ranges: impl Iterator<Item = &'a MediaRange>,
) -> Result<(CarParameters, Option<&'a MediaRange>), Refusal> {
    let scope = scope(query)?;
    let said = |range: Option<&'a MediaRange>| {
        let said = |name, parameter| {
            let of_range = range.and_then(|range| range.parameter(name));
            let of_range = of_range.filter(|value| !value.is_empty());
            query.get(parameter).or(of_range.map(Cow::Borrowed))
        };
        let version = matches!(said("version", "car-version").as_deref(), None | Some("1"));
        // Of no order at all, ours is one.
        let order = said("order", "car-order");
        let order = matches!(order.as_deref(), None | Some("dfs" | "unk"));
        let dups = match said("dups", "car-dups").as_deref() {
            None | Some("n") => Some(false),
            Some("y") => Some(true),
            Some(_) => None,
        };
        dups.filter(|_| version && order)
    };
    let mut any = false;
    for range in ranges {
        any = true;
        if let Some(dups) = said(Some(range)) {
            return Ok((CarParameters { dups, scope }, Some(range)));
        }
    }
    let supported = "CARs are to be had with version=1, order=dfs or unk, dups=y or n";
    match said(None) {
        Some(dups) if !any => Ok((CarParameters { dups, scope }, None)),
        None => Err(Refusal::bad(supported)),
        Some(_) => Err(Refusal::not_acceptable(supported)),
    }
}

/// The query with the parameters of a media range in it; `None` where it has none that the query
/// does not say.
fn car_location(query: &Query, range: &MediaRange) -> Option<String> {
    let set: Vec<_> = [
        ("version", "car-version"),
        ("order", "car-order"),
        ("dups", "car-dups"),
    ]
    .into_iter()
    .filter(|(_, parameter)| query.get(parameter).is_none())
    .filter_map(|(name, parameter)| Some((parameter, range.parameter(name)?)))
    .collect();
    if set.is_empty() && query.get("format").as_deref() == Some("car") {
        return None;
    }
    let set: Vec<_> = [("format", "car")].into_iter().chain(set).collect();
    Some(query.with(&set))
}

/// `dag-scope` and `entity-bytes`, which implies `entity`.
fn scope(query: &Query) -> Result<Scope, Refusal> {
    let named = match query.get("dag-scope").as_deref() {
        None | Some("all") => Scope::All,
        Some("block") => Scope::Block,
        Some("entity") => Scope::Entity(None),
        Some(_) => return Err(Refusal::bad("dag-scope is block, entity or all")),
    };
    let Some(bytes) = query.get("entity-bytes") else {
        return Ok(named);
    };
    let bytes: EntityBytes = bytes.parse().map_err(|_| {
        Refusal::bad(
            "entity-bytes is FROM:TO, both inclusive: numbers, negative ones counted from the end, \
             and TO may be *",
        )
    })?;
    Ok(Scope::Entity(Some(bytes)))
}

#[cfg(test)]
mod tests {
    use http::header;

    use super::*;

    fn asked(query: &str, accept: &[&str], files: bool) -> Result<Negotiated, u16> {
        let mut headers = HeaderMap::new();
        for value in accept {
            headers.append(header::ACCEPT, value.parse().unwrap());
        }
        negotiate(&Query::parse(Some(query)), &headers, files)
            .map_err(|refusal| refusal.status.as_u16())
    }

    fn format(query: &str, accept: &[&str]) -> Result<Format, u16> {
        asked(query, accept, false).map(|negotiated| negotiated.format)
    }

    #[expect(
        clippy::unnecessary_wraps,
        reason = "it is compared with what was found"
    )]
    fn car_of(dups: bool) -> Result<Format, u16> {
        Ok(Format::Car(CarParameters {
            dups,
            scope: Scope::All,
        }))
    }

    #[test]
    fn the_query_wins() {
        assert_eq!(format("format=raw", &[CAR]), Ok(Format::Raw));
        assert_eq!(format("format=car", &[RAW]), car_of(false));
        assert_eq!(format("format=tar", &[RAW]), Err(406));
        assert_eq!(format("format=ipns-record", &[]), Err(406));
        let own = asked("format=raw", &[RAW], false).unwrap();
        assert_eq!((own.location, own.varies), (None, false));
    }

    #[test]
    fn accept_by_weight() {
        assert_eq!(format("", &[RAW]), Ok(Format::Raw));
        assert_eq!(
            format("", &["text/html, application/vnd.ipld.CAR;q=0.5"]),
            car_of(false)
        );
        let both = "application/vnd.ipld.car;q=0.5, application/vnd.ipld.raw";
        assert_eq!(format("", &[both]), Ok(Format::Raw));
        assert_eq!(format("", &["application/vnd.ipld.raw;q=0"]), Err(400));
        let negotiated = asked("filename=a", &[RAW], false).unwrap();
        assert_eq!(
            negotiated.location.as_deref(),
            Some("filename=a&format=raw")
        );
        assert!(negotiated.varies);
    }

    #[test]
    fn without_a_form_it_is_refused_or_a_file() {
        assert_eq!(format("", &[]), Err(400));
        assert_eq!(format("", &["*/*"]), Err(400));
        assert_eq!(format("", &["text/html,*/*;q=0.8"]), Err(406));
        assert_eq!(format("", &["application/vnd.ipld.dag-json"]), Err(406));
        for accept in [&[][..], &["*/*"], &["text/html,*/*;q=0.8"], &["image/png"]] {
            let negotiated = asked("", accept, true).unwrap();
            assert_eq!(negotiated.format, Format::File, "{accept:?}");
        }
        let accept = "text/html, application/vnd.ipld.raw;q=0.1";
        assert_eq!(asked("", &[accept], true).unwrap().format, Format::File);
        let accept = "application/vnd.ipld.raw, */*;q=0.1";
        assert_eq!(asked("", &[accept], true).unwrap().format, Format::Raw);
        assert!(asked("", &["application/vnd.ipld.dag-json"], true).is_err());
    }

    #[test]
    fn parameters_of_cars() {
        let accept = |parameters: &str| format!("{CAR};{parameters}");
        assert_eq!(
            format("", &[&accept("version=1; order=dfs; dups=y")]),
            car_of(true)
        );
        assert_eq!(format("format=car", &[&accept("dups=y")]), car_of(true));
        assert_eq!(
            format("format=car&car-dups=n", &[&accept("dups=y")]),
            car_of(false)
        );
        assert_eq!(
            format("format=car&car-order=dfs", &[&accept("order=unk")]),
            car_of(false)
        );
        assert_eq!(
            format("format=car&car-order=dfs", &[&accept("order=foo")]),
            car_of(false)
        );
        assert_eq!(format("", &[&accept("order=unk")]), car_of(false));
        // What cannot be had.
        assert_eq!(format("", &[&accept("version=2")]), Err(406));
        assert_eq!(format("format=car", &[&accept("order=foo")]), Err(406));
        for query in [
            "car-version=2",
            "car-order=bfs",
            "car-dups=maybe",
            "dag-scope=some",
            "entity-bytes=x",
        ] {
            assert_eq!(
                format(&format!("format=car&{query}"), &[]),
                Err(400),
                "{query}"
            );
        }
        // The next best.
        let either =
            "application/vnd.ipld.car;order=foo, application/vnd.ipld.car;order=dfs;dups=y;q=0.5";
        assert_eq!(format("", &[either]), car_of(true));
    }

    #[test]
    fn where_the_same_answer_is_had() {
        let location = |query, accept: &str| asked(query, &[accept], false).unwrap().location;
        assert_eq!(
            location("dag-scope=block", "application/vnd.ipld.car;dups=y").as_deref(),
            Some("dag-scope=block&format=car&car-dups=y")
        );
        assert_eq!(
            location(
                "format=car&car-dups=n",
                "application/vnd.ipld.car;dups=y;order=dfs"
            )
            .as_deref(),
            Some("car-dups=n&format=car&car-order=dfs")
        );
        assert_eq!(location("format=car", CAR), None);
        let all = "format=car&car-version=1&car-order=dfs&car-dups=y";
        let all = asked(all, &[CAR], false).unwrap();
        assert_eq!((all.location, all.varies), (None, false));
    }

    #[test]
    fn scopes() {
        let scope = |query: &str| match format(&format!("format=car&{query}"), &[]) {
            Ok(Format::Car(parameters)) => parameters.scope,
            other => panic!("{other:?}"),
        };
        assert_eq!(scope("dag-scope=block"), Scope::Block);
        assert_eq!(scope("dag-scope=entity"), Scope::Entity(None));
        assert_eq!(scope("dag-scope=all"), Scope::All);
        let bytes = |from, to| Scope::Entity(Some(EntityBytes { from, to }));
        assert_eq!(scope("entity-bytes=0:*"), bytes(0, None));
        assert_eq!(
            scope("dag-scope=block&entity-bytes=-5:10"),
            bytes(-5, Some(10))
        );
    }
}
