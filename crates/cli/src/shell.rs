//! Words that a shell reads back as they are.

/// Quotes a word for a POSIX shell, unless it needs no quotes.
pub(crate) fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@,+%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.into()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::quote;

    #[test]
    fn only_what_must_be_is_quoted() {
        assert_eq!(quote("a/b-c_1.bin"), "a/b-c_1.bin");
        assert_eq!(quote("http://h/?a=1&b"), "'http://h/?a=1&b'");
        assert_eq!(quote("it's"), r"'it'\''s'");
        assert_eq!(quote(""), "''");
    }
}
