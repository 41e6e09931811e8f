//! Staying on some CPUs.
//!
//! in   a list such as `0,2-3`
//! out  the process's CPU affinity, inherited by all threads started later

/// Restricts this thread, and all that it starts, to the listed CPUs.
#[cfg(target_os = "linux")]
pub(crate) fn stay_on(list: &str) -> eyre::Result<()> {
    use rustix::thread::{CpuSet, sched_setaffinity};
    let mut set = CpuSet::new();
    for cpu in parse(list)? {
        eyre::ensure!(cpu < CpuSet::MAX_CPU, "--pin: CPU {cpu} is out of range");
        set.set(cpu);
    }
    sched_setaffinity(None, &set).map_err(|error| eyre::eyre!("--pin {list}: {error}"))
}

/// Restricts this thread, and all that it starts, to the listed CPUs.
#[cfg(not(target_os = "linux"))]
pub(crate) fn stay_on(list: &str) -> eyre::Result<()> {
    parse(list)?;
    eyre::bail!("--pin is not available on this system")
}

/// The numbers of a list such as `0,2-3`.
fn parse(list: &str) -> eyre::Result<Vec<usize>> {
    let mut cpus = Vec::new();
    for part in list.split(',') {
        let range = part.split_once('-').unwrap_or((part, part));
        let (Ok(first), Ok(last)) = (range.0.trim().parse::<usize>(), range.1.trim().parse::<usize>()) else {
            eyre::bail!("--pin: {part:?} is neither a CPU nor a range of CPUs");
        };
        eyre::ensure!(first <= last && last - first < 4_096, "--pin: {part:?} is not a range of CPUs");
        cpus.extend(first..=last);
    }
    Ok(cpus)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_cpus() {
        assert_eq!(parse("0").unwrap(), [0]);
        assert_eq!(parse("0,2-4").unwrap(), [0, 2, 3, 4]);
        for list in ["", "a", "1-", "3-1", "1,,2", "0-99999999"] {
            assert!(parse(list).is_err(), "{list:?}");
        }
    }
}
