//! The two documents of the protocol name every route and every error code, and so does this crate.
//! (That the second is valid, `tests/aws-tools/openapi.py` checks.)

use std::collections::BTreeSet;

use cidbucket_direct::Code;

const SPECIFICATION: &str = include_str!("../../../docs/direct-access.md");
const OPENAPI: &str = include_str!("../../../docs/direct-access.openapi.yaml");

type Routes = BTreeSet<(String, String)>;

/// Method and path of every `METHOD /path` in backticks.
fn specified() -> Routes {
    SPECIFICATION
        .split('`')
        .filter_map(|text| {
            let (method, path) = text.split_once(' ')?;
            let path = path.split('?').next()?;
            let known = ["GET", "HEAD", "PUT", "POST", "DELETE"].contains(&method);
            (known && path.starts_with("/v1/")).then(|| (method.to_lowercase(), path.to_owned()))
        })
        .collect()
}

/// Method and path of every operation: paths are indented by two, methods by four.
fn described() -> Routes {
    let paths = OPENAPI.split("\npaths:\n").nth(1).unwrap();
    let paths = paths.split("\ncomponents:\n").next().unwrap();
    let mut path = "";
    let mut routes = Routes::new();
    for line in paths.lines() {
        let Some(name) = line.trim_start().strip_suffix(':') else {
            continue;
        };
        match line.len() - line.trim_start().len() {
            2 => path = name,
            4 if name != "parameters" => {
                routes.insert((name.to_owned(), path.to_owned()));
            }
            _ => {}
        }
    }
    routes
}

#[test]
fn the_routes() {
    let mut specified = specified();
    // The text names a path with its example of a lease.
    specified.retain(|(_, path)| !path.contains("LEASE"));
    assert_eq!(specified.len(), 9, "{specified:?}");
    assert_eq!(described(), specified);
}

#[test]
fn the_codes_and_their_statuses() {
    let schema = OPENAPI.split("\n    Code:\n").nth(1).unwrap();
    let listed: Vec<&str> = schema
        .lines()
        .skip_while(|line| line.trim() != "enum:")
        .skip(1)
        .map_while(|line| line.trim().strip_prefix("- "))
        .collect();
    let codes = Code::ALL.map(|code| {
        let name = serde_json::to_string(&code).unwrap();
        (code.status(), name.trim_matches('"').to_owned())
    });
    assert_eq!(listed, codes.each_ref().map(|(_, name)| name.as_str()));
    for (status, name) in codes {
        let row = format!("| {status} | `{name}` |");
        assert!(SPECIFICATION.contains(&row), "{row}");
        // As an answer, or among those that any operation may give.
        let somewhere = OPENAPI.contains(&format!("`{name}`"));
        let answered = OPENAPI.contains(&format!("\"{status}\":"))
            || OPENAPI.contains(&format!("{status} (`{name}`)"));
        assert!(somewhere && answered, "{status} {name}");
    }
    let rows = SPECIFICATION
        .lines()
        .filter(|line| line.starts_with("| ") && line.as_bytes()[2].is_ascii_digit());
    assert_eq!(rows.count(), Code::ALL.len());
}
