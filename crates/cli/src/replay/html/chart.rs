//! A chart: lines over rounds, as inline SVG.
//!
//! in   named lines, one value a round or none; what the values are
//! out  a figure with title, legend, axes and lines
//!
//! C1  The value axis begins at zero and ends at a round number that is no less than any value.
//! C2  A round without a value is a gap.

use super::push;

const WIDTH: f64 = 520.0;
const HEIGHT: f64 = 220.0;
/// Room for the numbers at the left and below, and for half a number at the other sides.
const LEFT: f64 = 52.0;
const BELOW: f64 = 22.0;
const EDGE: f64 = 12.0;
/// Steps of the value axis.
const STEPS: u32 = 4;
/// Numbers at the axis of rounds.
const ROUNDS_SHOWN_MAX: usize = 8;
/// Colours of lines; more lines begin anew.
const COLOURS: usize = 4;

/// What the values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scale {
    /// Of two times.
    Ratio,
    /// Between 0 and 1.
    Share,
    /// Anything that grows.
    Amount,
}

/// One line.
#[derive(Debug)]
pub(super) struct Line {
    /// Escaped.
    pub(super) name: String,
    pub(super) colour: usize,
    pub(super) points: Vec<Option<f64>>,
}

/// A chart.
#[derive(Debug)]
pub(super) struct Chart<'a> {
    pub(super) title: &'a str,
    pub(super) scale: Scale,
    pub(super) lines: Vec<Line>,
}

impl Chart<'_> {
    /// The figure.
    pub(super) fn svg(&self) -> String {
        let mut text = format!("<figure>\n<figcaption>{}</figcaption>\n<div class=\"legend\">", self.title);
        for line in &self.lines {
            let last = line.points.iter().rev().flatten().next();
            let value = last.map_or_else(String::new, |value| format!(" {}", self.number(*value)));
            push(&mut text, format_args!("<span class=\"key line-{}\">{}{value}</span>", line.colour % COLOURS, line.name));
        }
        push(
            &mut text,
            format_args!("</div>\n<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">\n", self.title),
        );
        let top = self.top();
        self.value_axis(&mut text, top);
        self.round_axis(&mut text);
        for line in &self.lines {
            self.line(&mut text, line, top);
        }
        text.push_str("</svg>\n</figure>\n");
        text
    }

    /// C1.
    fn top(&self) -> f64 {
        let most = self.lines.iter().flat_map(|line| line.points.iter().flatten()).copied().fold(0.0, f64::max);
        match self.scale {
            Scale::Share => 1.0,
            Scale::Ratio | Scale::Amount => round_up(most),
        }
    }

    fn number(&self, value: f64) -> String {
        match self.scale {
            Scale::Ratio | Scale::Share => format!("{value:.2}"),
            Scale::Amount => short(value),
        }
    }

    fn rounds(&self) -> usize {
        self.lines.iter().map(|line| line.points.len()).max().unwrap_or(0)
    }

    fn x(&self, round: usize) -> f64 {
        let steps = self.rounds().saturating_sub(1).max(1);
        LEFT + (WIDTH - LEFT - EDGE) * round as f64 / steps as f64
    }

    fn value_axis(&self, text: &mut String, top: f64) {
        for step in 0..=STEPS {
            let value = top * f64::from(step) / f64::from(STEPS);
            let (y, end) = (y(value, top), WIDTH - EDGE);
            push(text, format_args!("<line class=\"grid\" x1=\"{LEFT}\" x2=\"{end}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>"));
            let (x, base) = (LEFT - 6.0, y + 4.0);
            push(text, format_args!("<text x=\"{x}\" y=\"{base:.1}\" text-anchor=\"end\">{}</text>\n", self.number(value)));
        }
    }

    fn round_axis(&self, text: &mut String) {
        let every = self.rounds().div_ceil(ROUNDS_SHOWN_MAX).max(1);
        for round in (0..self.rounds()).step_by(every) {
            let (x, y) = (self.x(round), HEIGHT - 6.0);
            push(text, format_args!("<text x=\"{x:.1}\" y=\"{y}\" text-anchor=\"middle\">{}</text>", round + 1));
        }
        text.push('\n');
    }

    fn line(&self, text: &mut String, line: &Line, top: f64) {
        push(text, format_args!("<g class=\"line-{}\">", line.colour % COLOURS));
        let places = line.points.iter().enumerate().map(|(round, value)| value.map(|value| (self.x(round), y(value, top))));
        let places: Vec<Option<(f64, f64)>> = places.collect();
        for part in places.split(Option::is_none).filter(|part| !part.is_empty()) {
            let points: Vec<String> = part.iter().flatten().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
            push(text, format_args!("<polyline points=\"{}\"/>", points.join(" ")));
        }
        if let Some((x, y)) = places.iter().rev().flatten().next() {
            push(text, format_args!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\"/>"));
        }
        text.push_str("</g>\n");
    }
}

fn y(value: f64, top: f64) -> f64 {
    EDGE + (HEIGHT - BELOW - EDGE) * (1.0 - value / top)
}

/// The next number of the form 1, 1.2, 1.6, 2, 3, 4, 6 or 8 times a power of ten: its quarters are short, too.
fn round_up(value: f64) -> f64 {
    if value <= 0.0 {
        return 1.0;
    }
    let power = 10_f64.powf(value.log10().floor());
    let steps = [1.0, 1.2, 1.6, 2.0, 3.0, 4.0, 6.0, 8.0, 10.0];
    steps.into_iter().map(|step| step * power).find(|step| *step >= value * (1.0 - 1e-12)).unwrap_or(value)
}

/// A number in a few characters.
fn short(value: f64) -> String {
    let (scaled, unit) = match value {
        value if value >= 1e9 => (value / 1e9, " G"),
        value if value >= 1e6 => (value / 1e6, " M"),
        value if value >= 1e4 => (value / 1e3, " k"),
        value => (value, ""),
    };
    let text = if scaled >= 100.0 { format!("{scaled:.0}") } else { format!("{scaled:.1}") };
    text.strip_suffix(".0").unwrap_or(&text).to_owned() + unit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c1_the_axis_holds_every_value() {
        for value in [0.001, 0.9, 1.0, 1.3, 7.7, 8.1, 99.0, 123_456.0] {
            assert!(round_up(value) >= value && round_up(value) <= value * 2.0, "{value}: {}", round_up(value));
        }
        assert_eq!([round_up(0.0), round_up(1.87), round_up(2.0), round_up(9.0)], [1.0, 2.0, 2.0, 10.0]);
    }

    #[test]
    fn c2_a_round_without_a_value_is_a_gap() {
        let line = Line { name: "tiered".to_owned(), colour: 2, points: vec![Some(1.0), Some(2.0), None, Some(3.0)] };
        let svg = Chart { title: "Speedup", scale: Scale::Ratio, lines: vec![line] }.svg();
        assert_eq!(svg.matches("<polyline").count(), 2);
        assert_eq!(svg.matches("<circle").count(), 1);
        assert!(svg.contains("line-2") && svg.contains("tiered 3.00"));
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!(
            ["0", "12.5", "2500", "12 k", "347 k", "1.4 M"],
            [0.0, 12.5, 2500.0, 12e3, 347e3, 1.4e6].map(short).each_ref().map(String::as_str)
        );
    }
}
