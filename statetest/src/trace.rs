//! EIP-3155 traces, cut to a window.
//!
//! in   the lines of revm's tracer, one per step
//! out  the lines around the last step that matters to a difference, or the last lines; or each line to a sink as it comes
//!
//! A trace may have millions of steps, so lines outside of the window are dropped as they come.

use alloy_primitives::U256;
use revm::inspector::inspectors::TracerEip3155;
use std::{
    collections::VecDeque,
    fmt,
    io::{self, Write},
    sync::{Arc, Mutex, PoisonError},
};

/// Lines kept before the step that matters.
const LINES_BEFORE: usize = 24;
/// Lines kept after it.
const LINES_AFTER: usize = 8;

/// Which step a trace is wanted around.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Focus {
    /// The end of execution.
    End,
    /// The last SSTORE to a slot.
    Store(U256),
}

/// Takes the lines of a trace one by one.
pub type Sink = Arc<dyn Fn(&str) + Send + Sync>;

/// A window over a trace; clones share it.
#[derive(Debug, Clone)]
pub struct Window(Arc<Mutex<Lines>>);

struct Lines {
    focus: Focus,
    sink: Option<Sink>,
    unfinished: Vec<u8>,
    before: VecDeque<String>,
    kept: Vec<String>,
    wanted_after: usize,
}

impl Window {
    /// An empty window.
    pub fn new(focus: Focus) -> Self {
        Self::make(focus, None)
    }

    /// A window that keeps nothing and hands every line on.
    pub fn stream(sink: &Sink) -> Self {
        Self::make(Focus::End, Some(Arc::clone(sink)))
    }

    fn make(focus: Focus, sink: Option<Sink>) -> Self {
        let lines = Lines { focus, sink, unfinished: Vec::new(), before: VecDeque::new(), kept: Vec::new(), wanted_after: 0 };
        Self(Arc::new(Mutex::new(lines)))
    }

    /// A tracer that fills the window.
    pub fn tracer(&self) -> TracerEip3155 {
        TracerEip3155::new(Box::new(self.clone()))
    }

    /// The lines in the window: around the step that matters, or the last ones if it never came.
    pub fn lines(&self) -> Vec<String> {
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.kept.is_empty() { lines.before.iter().cloned().collect() } else { lines.kept.clone() }
    }
}

impl Write for Window {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            lines.unfinished.extend_from_slice(piece);
            if piece.ends_with(b"\n") {
                let line = std::mem::take(&mut lines.unfinished);
                lines.take(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for Lines {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Lines").field("focus", &self.focus).field("kept", &self.kept).finish_non_exhaustive()
    }
}

impl Lines {
    fn take(&mut self, line: String) {
        if let Some(sink) = &self.sink {
            sink(&line);
            return;
        }
        if self.matters(&line) {
            self.kept = self.before.iter().cloned().collect();
            self.kept.push(line.clone());
            self.wanted_after = LINES_AFTER;
        } else if self.wanted_after > 0 {
            self.kept.push(line.clone());
            self.wanted_after -= 1;
        }
        self.before.push_back(line);
        if self.before.len() > LINES_BEFORE {
            self.before.pop_front();
        }
    }

    /// Whether the line is a step of the kind in focus; the tracer writes the stack's top last.
    fn matters(&self, line: &str) -> bool {
        let Focus::Store(slot) = self.focus else { return false };
        line.contains("\"opName\":\"SSTORE\"") && line.contains(&format!("\"{slot:#x}\"],"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(name: &str, top: u64) -> String {
        format!("{{\"pc\":0,\"opName\":\"{name}\",\"stack\":[\"0x7\",\"{top:#x}\"],\"refund\":\"0x0\"}}\n")
    }

    fn check_lines(focus: Focus, expected: &[usize]) {
        let mut window = Window::new(focus);
        let steps: Vec<_> = (0..100).map(|index| step(if index % 10 == 5 { "SSTORE" } else { "ADD" }, index / 10)).collect();
        for text in &steps {
            window.write_all(text.as_bytes()).unwrap();
        }
        let expected: Vec<_> = expected.iter().map(|index| steps[*index].trim_end().to_owned()).collect();
        assert_eq!(window.lines(), expected);
    }

    #[test]
    fn a_window_holds_the_lines_around_the_store_in_focus() {
        check_lines(Focus::Store(U256::from(4)), &(45 - LINES_BEFORE..=45 + LINES_AFTER).collect::<Vec<_>>());
    }

    #[test]
    fn a_stream_hands_on_every_line() {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let sink: Sink = Arc::new({
            let lines = Arc::clone(&lines);
            move |line: &str| lines.lock().unwrap().push(line.to_owned())
        });
        let mut window = Window::stream(&sink);
        window.write_all(b"one\ntw").unwrap();
        window.write_all(b"o\n").unwrap();
        assert_eq!(*lines.lock().unwrap(), ["one", "two"]);
        assert!(window.lines().is_empty());
    }

    #[test]
    fn a_window_without_its_step_holds_the_last_lines() {
        check_lines(Focus::Store(U256::from(77)), &(100 - LINES_BEFORE..100).collect::<Vec<_>>());
        check_lines(Focus::End, &(100 - LINES_BEFORE..100).collect::<Vec<_>>());
    }
}
