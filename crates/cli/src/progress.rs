//! A progress bar on standard error, for a person who sees nothing else move.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar over `total` bytes (a counter where the total is unknown), hidden unless `shown`.
pub(crate) fn byte_bar(shown: bool, what: &'static str, total: Option<u64>) -> ProgressBar {
    let template = if total.is_some() {
        "{prefix} {bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta}"
    } else {
        "{prefix} {bytes} {bytes_per_sec}"
    };
    with_template(shown, what, total, template)
}

/// A bar over `total` steps (a counter where the total is unknown), hidden unless `shown`.
pub(crate) fn bar(shown: bool, what: &'static str, total: Option<u64>) -> ProgressBar {
    let template = if total.is_some() {
        "{prefix} {bar:30} {human_pos}/{human_len} {per_sec} {eta}"
    } else {
        "{prefix} {human_pos} {per_sec}"
    };
    with_template(shown, what, total, template)
}

fn with_template(
    shown: bool,
    what: &'static str,
    total: Option<u64>,
    template: &str,
) -> ProgressBar {
    let target = if shown {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    };
    let bar = ProgressBar::with_draw_target(total, target);
    bar.set_style(ProgressStyle::with_template(template).expect("the templates are constant"));
    bar.set_prefix(what);
    bar
}

#[cfg(test)]
mod tests {
    #[test]
    fn templates_are_valid() {
        for total in [None, Some(3)] {
            for bar in [super::bar, super::byte_bar] {
                let bar = bar(false, "put", total);
                bar.inc(1);
                assert_eq!(bar.position(), 1);
                bar.finish_and_clear();
            }
        }
    }
}
