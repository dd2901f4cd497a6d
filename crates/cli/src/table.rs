//! Text in columns, wrapped to a terminal's width.

use std::fmt::Write;

/// The narrowest last column that is still legible beside the others.
const NARROW: usize = 28;

/// Rows of three cells, the last one wrapped; below the others where there is no room beside them.
/// The first cell may hold escape codes, so its visible width is given. Without a `width` (no
/// terminal) nothing is wrapped.
pub(crate) fn render(rows: &[[String; 3]], first: usize, width: Option<usize>) -> String {
    let second = rows
        .iter()
        .map(|row| row[1].chars().count())
        .max()
        .unwrap_or(0);
    let indent = first + 1 + second + 2;
    let beside = width.is_none_or(|width| width >= indent + NARROW);
    let mut out = String::new();
    for [mark, title, text] in rows {
        if beside {
            let lines = wrap(
                text,
                "",
                &" ".repeat(indent),
                width.map(|width| width - indent),
            );
            let _ = writeln!(out, "{mark} {title:second$}  {lines}");
        } else {
            let room = " ".repeat(first + 1);
            let lines = wrap(text, &room, &room, width);
            let _ = writeln!(out, "{mark} {title}\n{lines}");
        }
    }
    out
}

/// Breaks a text into lines of at most `width` characters, the indents not counted where they are
/// those of a column. A word that is longer keeps a line of its own, so that it can be copied.
pub(crate) fn wrap(text: &str, first: &str, next: &str, width: Option<usize>) -> String {
    let mut out = String::from(first);
    let mut used = first.chars().count();
    let mut empty = true;
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if !empty && width.is_some_and(|width| used + 1 + length > width) {
            out.push('\n');
            out.push_str(next);
            used = if first.is_empty() {
                0
            } else {
                next.chars().count()
            };
            empty = true;
        }
        if !empty {
            out.push(' ');
            used += 1;
        }
        out.push_str(word);
        used += length;
        empty = false;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Vec<[String; 3]> {
        [
            [
                "ok",
                "Transport",
                "plain http on this machine and nowhere else to be seen",
            ],
            ["warn", "CORS", "none"],
        ]
        .map(|row| row.map(Into::into))
        .map(|[mark, title, text]: [String; 3]| [format!("{mark:<7}"), title, text])
        .to_vec()
    }

    #[test]
    fn wide_narrow_and_piped() {
        assert_eq!(
            render(&rows(), 7, Some(50)),
            "ok      Transport  plain http on this machine and\n\
            \x20                  nowhere else to be seen\n\
             warn    CORS       none\n"
        );
        assert_eq!(
            render(&rows(), 7, Some(40)),
            "ok      Transport\n\
            \x20       plain http on this machine and\n\
            \x20       nowhere else to be seen\n\
             warn    CORS\n\
            \x20       none\n"
        );
        assert!(render(&rows(), 7, None).starts_with(
            "ok      Transport  plain http on this machine and nowhere else to be seen\n"
        ));
    }

    #[test]
    fn no_line_is_too_wide_but_for_one_long_word() {
        for width in 10..60 {
            let text = wrap(
                "some words and averyveryverylongone at the end",
                "- ",
                "  ",
                Some(width),
            );
            for line in text.lines() {
                let fits = line.chars().count() <= width;
                assert!(
                    fits || line.trim_start().starts_with("averyvery"),
                    "{width}: {text}"
                );
            }
        }
    }
}
