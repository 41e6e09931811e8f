//! `hotevm replay --html FILE`: one page with curves over the rounds and the hot-contract report.
//!
//! in   a report of a replay
//! out  HTML with its style inside; nothing is loaded from elsewhere and nothing runs
//!
//! H1  All text from a report is escaped.
//! H2  What does not fit the window scrolls in its own box; the page itself never scrolls sideways.

use hotevm_statetest::report::{ReplayContract, ReplayReport, ReplayRound};
use std::fmt::Write;

mod chart;

use chart::{Chart, Line, Scale};

const STYLE: &str = include_str!("html/page.css");

/// Contracts in the table of one mode; all are in the JSON report.
const CONTRACTS_MAX: usize = 100;

/// The page of a report.
pub(super) fn page(report: &ReplayReport) -> String {
    let mut body = String::new();
    let runs: Vec<&str> = report.runs.iter().map(|run| run.name.as_str()).collect();
    let rounds = report.total.values().map(|total| total.rounds.len()).max().unwrap_or(0);
    push(
        &mut body,
        format_args!("<h1>hotevm replay</h1>\n<p>{}: {}, {rounds} rounds.</p>\n", count(runs.len(), "run"), list(&runs)),
    );
    summary(&mut body, report);
    curves(&mut body, report);
    // Runtimes that compile everything ahead count no gas by contract.
    let has_gas = |contracts: &[ReplayContract]| contracts.iter().any(|row| row.native_gas + row.interpreted_gas > 0);
    for (mode, total) in report.total.iter().filter(|(_, total)| has_gas(&total.contracts)) {
        contracts(&mut body, mode, &total.contracts);
    }
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>hotevm replay</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n{body}</main>\n</body>\n</html>\n"
    )
}

/// Writing to a string cannot fail.
fn push(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    let _ = text.write_fmt(arguments);
}

fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// Names, cut where they would fill the page.
fn list(names: &[&str]) -> String {
    let shown: Vec<String> = names.iter().take(12).map(|name| escape(name)).collect();
    let more = names.len().saturating_sub(shown.len());
    shown.join(", ") + &if more > 0 { format!(" and {more} more") } else { String::new() }
}

/// H1.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn optional(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:.digits$}"))
}

/// A large number with its thousands apart.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// A table in a box of its own (H2).
fn table(body: &mut String, heads: &[&str], rows: impl Iterator<Item = Vec<String>>) {
    let head: String = heads.iter().map(|head| format!("<th scope=\"col\">{head}</th>")).collect();
    push(body, format_args!("<div class=\"scroll\"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n"));
    for row in rows {
        let cells: String = row.iter().map(|cell| format!("<td>{cell}</td>")).collect();
        push(body, format_args!("<tr>{cells}</tr>\n"));
    }
    body.push_str("</tbody></table></div>\n");
}

fn summary(body: &mut String, report: &ReplayReport) {
    let heads = ["mode", "speedup", "last round", "time in all ms", "native share", "compile CPU ms", "code bytes", "mismatches"];
    let rows = report.total.iter().map(|(mode, total)| {
        let last = total.rounds.last();
        vec![
            escape(mode),
            optional(total.speedup_geomean, 2),
            optional(last.and_then(|round| round.speedup), 2),
            optional(last.map(|round| round.cumulative_ms), 1),
            optional(last.and_then(|round| round.native_gas_share), 4),
            format!("{:.0}", total.compile_cpu_ms),
            grouped(total.code_bytes),
            total.mismatches.to_string(),
        ]
    });
    table(body, &heads, rows);
    body.push_str(
        "<p class=\"note\">Speedup: the interpreter's time over the mode's, of medians over all rounds (geometric mean over runs) \
         and of the last round. Times are those of transactions alone.</p>\n",
    );
}

/// One figure of a round.
type Figure = fn(&ReplayRound) -> Option<f64>;

fn curves(body: &mut String, report: &ReplayReport) {
    let charts: [(&str, Scale, Figure); 5] = [
        ("Speedup over the interpreter", Scale::Ratio, |round| round.speedup),
        ("Share of gas that native code charged", Scale::Share, |round| round.native_gas_share),
        ("Time so far, ms", Scale::Amount, |round| Some(round.cumulative_ms)),
        ("CPU time of compiling so far, ms", Scale::Amount, |round| Some(round.compile_cpu_ms)),
        ("Native code made so far, bytes", Scale::Amount, |round| Some(round.code_bytes as f64)),
    ];
    body.push_str("<h2>Round by round</h2>\n<div class=\"charts\">\n");
    for (title, scale, figure) in charts {
        let is_of_all = title.starts_with("Time");
        let lines = report.total.iter().enumerate().filter_map(|(colour, (mode, total))| {
            let is_base = mode == hotevm_statetest::Mode::Interpreter.name();
            let points: Vec<Option<f64>> = total.rounds.iter().map(figure).collect();
            (is_of_all || !is_base).then(|| Line { name: escape(mode), colour, points })
        });
        let chart = Chart { title, scale, lines: lines.collect() };
        body.push_str(&chart.svg());
    }
    body.push_str("</div>\n");
}

fn contracts(body: &mut String, mode: &str, contracts: &[ReplayContract]) {
    let shown = contracts.len().min(CONTRACTS_MAX);
    push(body, format_args!("<h2>Contracts in mode {}</h2>\n<p>", escape(mode)));
    push(body, format_args!("The {shown} hottest of {}, by gas. ", contracts.len()));
    body.push_str("Speed is gas over time, in passes after the last round.</p>\n");
    let heads = [
        "code hash",
        "fork",
        "tier",
        "native gas",
        "interpreted gas",
        "native Mgas/s",
        "interpreted Mgas/s",
        "speedup",
        "leaves",
        "most often at",
        "blocks",
        "compiled",
        "compile CPU ms",
        "code bytes",
        "rejected",
    ];
    let rows = contracts.iter().take(CONTRACTS_MAX).map(|contract| {
        let hash = escape(&contract.code_hash);
        vec![
            format!("<code title=\"{hash}\">{}</code>", hash.get(..12).unwrap_or(&hash)),
            escape(&contract.fork),
            format!("<span class=\"stage {0}\">{0}</span>", escape(contract.stage)),
            grouped(contract.native_gas),
            grouped(contract.interpreted_gas),
            optional(contract.native_mgas_per_s, 0),
            optional(contract.interpreted_mgas_per_s, 0),
            optional(contract.speedup, 2),
            grouped(contract.leaves),
            contract
                .leave_sites
                .first()
                .map_or_else(String::new, |site| format!("{} ({} {})", site.pc, grouped(site.count), site.reason)),
            contract.blocks.to_string(),
            contract.compilations.to_string(),
            format!("{:.1}", contract.compile_cpu_ms),
            grouped(contract.code_bytes),
            escape(contract.rejection.as_deref().unwrap_or("")),
        ]
    });
    table(body, &heads, rows);
}

#[cfg(test)]
mod tests {
    use super::*;
    use hotevm_statetest::report::{ReplayLeaveSite, ReplayTotal, SCHEMA};

    fn report() -> ReplayReport {
        let round = |number: u32| ReplayRound {
            ms: 2.0,
            cumulative_ms: 2.0 * f64::from(number),
            speedup: Some(f64::from(number)),
            native_gas_share: None,
            compiled: 1,
            compile_cpu_ms: 5.0,
            code_bytes: 1000,
        };
        let contract = ReplayContract {
            code_hash: "0x0123456789abcdef".to_owned(),
            fork: "Osaka".to_owned(),
            stage: "native-1",
            native_gas: 1_234_567,
            interpreted_gas: 1,
            native_mgas_per_s: Some(900.4),
            interpreted_mgas_per_s: None,
            speedup: None,
            leaves: 3,
            leave_sites: vec![ReplayLeaveSite { pc: 77, reason: "gas", count: 5000 }],
            blocks: 4,
            compilations: 1,
            compile_cpu_ms: 5.0,
            code_bytes: 1000,
            rejection: Some("a <reason> & more".to_owned()),
        };
        let total = ReplayTotal {
            speedup_geomean: Some(1.5),
            first_ms: 2.0,
            median_ms: 2.0,
            compile_cpu_ms: 5.0,
            code_bytes: 1000,
            mismatches: 0,
            rounds: (1..=3).map(round).collect(),
            contracts: vec![contract],
        };
        ReplayReport { schema: SCHEMA, runs: vec![], total: [("tiered".to_owned(), total)].into() }
    }

    #[test]
    fn the_page_holds_curves_and_contracts_and_needs_nothing() {
        let page = page(&report());
        assert_eq!(page.matches("<svg").count(), 5);
        assert!(page.contains("<polyline") && page.contains("native-1") && page.contains("1\u{202f}234\u{202f}567"));
        assert!(page.contains("77 (5\u{202f}000 gas)"), "where it is left most often");
        assert!(page.contains("a &lt;reason&gt; &amp; more"), "H1");
        for needs in ["http:", "https:", "<script", "<link", "url(", "@import"] {
            assert!(!page.contains(needs), "{needs}");
        }
        for tag in ["svg", "table", "div", "tr", "td", "th", "text", "main", "figure"] {
            let opened = page.matches(&format!("<{tag}>")).count() + page.matches(&format!("<{tag} ")).count();
            assert_eq!(opened, page.matches(&format!("</{tag}>")).count(), "{tag}");
        }
    }

    #[test]
    fn a_report_without_rounds_is_a_page_too() {
        let empty = ReplayReport { schema: SCHEMA, runs: vec![], total: [].into() };
        assert!(page(&empty).ends_with("</html>\n"));
    }

    #[test]
    fn thousands_stand_apart() {
        assert_eq!([grouped(0), grouped(999), grouped(1000)], ["0", "999", "1\u{202f}000"]);
    }
}
