//! Progress of a long run: a bar on a terminal, a line per tenth elsewhere, always on standard error.
//!
//! in   how many items are done, of how many
//! out  text that no other program should read

use indicatif::{ProgressBar, ProgressStyle};
use std::{
    io::{IsTerminal, stderr},
    time::Instant,
};

/// A line is written each time another such part of the items is done.
const PARTS: usize = 10;

/// Progress of one run; may be told from several threads.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    what: &'static str,
    start: Instant,
}

impl Progress {
    /// Progress that counts `what`.
    pub(crate) fn new(what: &'static str) -> Self {
        let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} {msg} {elapsed_precise} (eta {eta})");
        let bar = stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(0).with_message(what);
            if let Ok(style) = style {
                bar.set_style(style);
            }
            bar
        });
        Self { bar, what, start: Instant::now() }
    }

    /// Says how many items are done.
    pub(crate) fn done(&self, done: usize, total: usize) {
        if let Some(bar) = &self.bar {
            bar.set_length(total as u64);
            bar.set_position(done as u64);
        } else if is_new_part(done, total) {
            eprintln!("{done}/{total} {} {:.1} s", self.what, self.start.elapsed().as_secs_f64());
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Whether the item that was just done completes another part; short runs have no parts.
const fn is_new_part(done: usize, total: usize) -> bool {
    total >= PARTS && done > 0 && done * PARTS / total != (done - 1) * PARTS / total
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_per_part() {
        let lines = |total| (1..=total).filter(|done| is_new_part(*done, total)).count();
        assert_eq!(lines(1_000), PARTS);
        assert_eq!(lines(11), PARTS);
        assert_eq!(lines(3), 0);
    }
}
