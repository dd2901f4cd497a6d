//! Which foreign names become names of files.

/// Why a name cannot be one here; `None` where it can. `windows` adds what means something else
/// there.
pub(super) fn refusal(name: &str, windows: bool) -> Option<&'static str> {
    match name {
        "" => return Some("empty"),
        "." | ".." => return Some("another folder's"),
        _ => {}
    }
    if name.contains('/') {
        return Some("a path, with a / in it");
    }
    if name.contains('\0') {
        return Some("not a file's, with a NUL in it");
    }
    if windows {
        return windows_refusal(name);
    }
    None
}

/// <https://learn.microsoft.com/en-us/windows/win32/fileio/naming-a-file>
fn windows_refusal(name: &str) -> Option<&'static str> {
    let reserved = |c: char| c.is_control() || r#"<>:"\|?*"#.contains(c);
    if name.contains(reserved) {
        return Some("not a file's on Windows: it has a character that is reserved");
    }
    if name.ends_with(['.', ' ']) {
        return Some("not a file's on Windows: it ends in a dot or a space");
    }
    let stem = name.split('.').next().unwrap_or(name).trim_end();
    let stem = stem.to_uppercase();
    let numbered = |device| {
        let number = stem.strip_prefix(device).unwrap_or_default();
        let mut digits = number.chars();
        let digit = digits.next();
        digits.next().is_none()
            && digit.is_some_and(|digit| digit.is_ascii_digit() || "¹²³".contains(digit))
    };
    let device = matches!(&*stem, "CON" | "PRN" | "AUX" | "NUL" | "CONIN$" | "CONOUT$");
    (device || numbered("COM") || numbered("LPT")).then_some("a device's on Windows")
}

/// Whether a link's target is in the folder, if the link is `depth` folders below its top.
///
/// Steps upwards are only allowed at the target's beginning, where they lead up the link's own
/// folders, which are no links. After that a step down may lead through a link, and one up from
/// there to who knows where.
pub(super) fn stays_inside(target: &str, depth: usize) -> bool {
    if target.is_empty() || target.starts_with('/') || target.contains(['\\', '\0']) {
        return false;
    }
    let mut steps = target.split('/').filter(|step| !matches!(*step, "" | "."));
    let up = steps.by_ref().take_while(|step| *step == "..").count();
    // The step that ended the way up is a name already.
    up <= depth && steps.all(|step| step != "..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        for name in ["", ".", "..", "a/b", "/", "/etc", "../a", "a\0"] {
            assert!(refusal(name, false).is_some(), "{name:?}");
            assert!(refusal(name, true).is_some(), "{name:?}");
        }
        for name in [
            "a", "...", "..a", ".hidden", "a b", "ä", "-rf", "\u{1b}", "C:", "con",
        ] {
            assert!(refusal(name, false).is_none(), "{name:?}");
        }
    }

    #[test]
    fn names_that_are_devices_are_refused_on_windows() {
        for name in [
            "con",
            "NUL",
            "aux.txt",
            "COM1",
            "lpt9.tar.gz",
            "COM¹",
            "nul .x",
            "C:",
            "a\\b",
            "a:b",
            "a?",
            "a.",
            "a ",
            "\u{1b}",
        ] {
            assert!(refusal(name, true).is_some(), "{name:?}");
        }
        for name in ["console", "COM10", "COM", "nul_", "a.con", "..."] {
            assert_eq!(refusal(name, true).is_some(), name == "...", "{name:?}");
        }
    }

    #[test]
    fn links_stay_in_the_folder() {
        for (target, depth) in [
            ("a", 0),
            ("./a//b", 0),
            ("../a", 1),
            ("../../a/b", 2),
            ("..", 1),
            ("./.././a", 1),
        ] {
            assert!(stays_inside(target, depth), "{target} at {depth}");
        }
        for (target, depth) in [
            ("", 3),
            ("/etc/passwd", 3),
            ("..", 0),
            ("../../a", 1),
            ("a/../../b", 3),
            ("a/..", 3),
            ("../a/..", 3),
            ("a\\..\\b", 3),
            ("a\0", 3),
        ] {
            assert!(!stays_inside(target, depth), "{target} at {depth}");
        }
    }
}
