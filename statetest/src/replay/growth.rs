//! Growth: what a mode has done by the end of each round.
//!
//! in   every timed pass; the counters at the end of a round
//! out  [`ReplayRound`]s

use super::execute::Pass;
use crate::{
    mode::{Engine, Mode},
    report::{ReplayRound, compile_cpu_ms, median},
};
use hotevm::Statistics;

/// One round of one mode.
#[derive(Debug, Default, Clone)]
struct Round {
    ms: f64,
    native_gas: u64,
    eligible_gas: u64,
    /// Counters since the start of the whole measurement.
    counted: Option<Statistics>,
}

/// All rounds so far, by mode.
#[derive(Debug)]
pub(super) struct Growth {
    interpreter: Option<usize>,
    /// Counters at the start, and rounds; the last one of a mode may still run.
    modes: Vec<(Option<Statistics>, Vec<Round>, Round)>,
}

impl Growth {
    pub(super) fn new(engines: &[Box<dyn Engine>]) -> Self {
        Self {
            interpreter: engines.iter().position(|engine| engine.mode() == Mode::Interpreter),
            modes: engines.iter().map(|engine| (engine.statistics(), Vec::new(), Round::default())).collect(),
        }
    }

    /// Adds a pass to the round that runs.
    pub(super) fn pass(&mut self, mode: usize, pass: &Pass) {
        let Some((_, _, round)) = self.modes.get_mut(mode) else { return };
        round.ms += pass.elapsed.as_secs_f64() * 1e3;
        if let Some(counted) = &pass.counted {
            round.native_gas += counted.native_gas;
            round.eligible_gas += counted.eligible_gas;
        }
    }

    /// Ends a mode's round.
    pub(super) fn round_ended(&mut self, mode: usize, engine: &dyn Engine) {
        let Some((start, rounds, round)) = self.modes.get_mut(mode) else { return };
        round.counted = engine.statistics().zip(start.as_ref()).map(|(now, start)| now.since(start));
        rounds.push(std::mem::take(round));
    }

    /// The rounds of every mode.
    pub(super) fn rounds(&self) -> Vec<Vec<ReplayRound>> {
        let base = self.interpreter.and_then(|mode| self.modes.get(mode)).map(|(_, rounds, _)| rounds);
        self.modes.iter().map(|(_, rounds, _)| report(rounds, base)).collect()
    }
}

fn report(rounds: &[Round], base: Option<&Vec<Round>>) -> Vec<ReplayRound> {
    let mut cumulative_ms = 0.0;
    let base_ms = base.map(|base| median(&base.iter().map(|round| round.ms).collect::<Vec<_>>()));
    let rounds = rounds.iter().map(|round| {
        cumulative_ms += round.ms;
        let counted = round.counted.as_ref();
        ReplayRound {
            ms: round.ms,
            cumulative_ms,
            speedup: base_ms.filter(|_| round.ms > 0.0).map(|base_ms| base_ms / round.ms),
            native_gas_share: (round.eligible_gas != 0).then(|| round.native_gas as f64 / round.eligible_gas as f64),
            compiled: counted.map_or(0, |counted| counted.compiled),
            compile_cpu_ms: counted.map_or(0.0, compile_cpu_ms),
            code_bytes: counted.map_or(0, |counted| counted.code_bytes),
        }
    });
    rounds.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_add_up() {
        let round = |ms, native_gas| Round { ms, native_gas, eligible_gas: 10, counted: None };
        let growth = Growth {
            interpreter: Some(0),
            modes: vec![
                (None, vec![round(4.0, 0), round(6.0, 0)], Round::default()),
                (None, vec![round(8.0, 5), round(2.0, 10)], Round::default()),
            ],
        };
        let rounds = growth.rounds();
        let seen = rounds[1].iter().map(|round| (round.cumulative_ms, round.speedup, round.native_gas_share));
        assert_eq!(seen.collect::<Vec<_>>(), [(8.0, Some(0.625), Some(0.5)), (10.0, Some(2.5), Some(1.0))]);
        assert_eq!(rounds[0][0].speedup, Some(1.25), "of the interpreter's median");
    }
}
