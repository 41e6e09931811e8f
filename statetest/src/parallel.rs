//! The only place with threads: work on many files at once.
//!
//! in   a list of files, a function per file
//! out  the results in the order of the files; progress as files are done
//!
//! P1  A failing file stops the run as soon as the files begun are done, and its error is returned.
//! P2  Large files are begun first, so that no thread ends up alone with one.
//!
//! Protocol: `next` counts files handed out (each thread takes one by `fetch_add`), `done` counts files finished, `stop` is
//! set once by a thread that failed. None of them guards other data (results go through the threads' join), so all are
//! relaxed.

use crate::{error::Error, fixture::File};
use std::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
};

/// Stack of a worker thread: room for precompiles and for frames of native code.
const STACK_BYTES: usize = 64 << 20;

/// Told how many files are done, of how many.
pub type Progress<'a> = &'a (dyn Fn(usize, usize) + Sync);

/// Applies `work` to each file on `threads` threads.
///
/// # Errors
/// The first error in the order of files, or a thread that cannot be started.
pub fn each_file<T: Send>(
    files: &[File],
    threads: usize,
    progress: Progress<'_>,
    work: impl Fn(&File) -> Result<T, Error> + Sync,
) -> Result<Vec<T>, Error> {
    let mut order: Vec<_> = (0..files.len()).collect();
    order.sort_by_key(|index| std::cmp::Reverse(files[*index].bytes));
    let (next, done, stop) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicBool::new(false));
    let worker = || {
        let mut results = Vec::new();
        while !stop.load(Ordering::Relaxed) {
            let Some(index) = order.get(next.fetch_add(1, Ordering::Relaxed)) else { break };
            let result = work(&files[*index]);
            if result.is_ok() {
                progress(done.fetch_add(1, Ordering::Relaxed) + 1, files.len());
            } else {
                stop.store(true, Ordering::Relaxed);
            }
            results.push((*index, result));
        }
        results
    };
    let mut results = thread::scope(|scope| {
        let handles: Vec<_> = (0..threads.clamp(1, files.len().max(1)))
            .map(|_| thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, worker))
            .collect::<Result<_, _>>()
            .map_err(|cause| Error::Thread { cause })?;
        let mut results = Vec::with_capacity(files.len());
        for handle in handles {
            match handle.join() {
                Ok(part) => results.extend(part),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        Ok::<_, Error>(results)
    })?;
    results.sort_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}

/// Number of threads to use unless told otherwise.
pub fn default_threads() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn files(count: u64) -> Vec<File> {
        (0..count).map(|index| File { path: PathBuf::from(index.to_string()), bytes: index % 7 }).collect()
    }

    #[test]
    fn results_come_in_the_order_of_files() {
        let seen = AtomicUsize::new(0);
        let progress = |_, total| {
            seen.fetch_add(1, Ordering::Relaxed);
            assert_eq!(total, 50);
        };
        let names = each_file(&files(50), 4, &progress, |file| Ok(file.path.clone())).unwrap();
        assert_eq!(names, files(50).into_iter().map(|file| file.path).collect::<Vec<_>>());
        assert_eq!(seen.into_inner(), 50);
    }

    #[test]
    fn a_failing_file_ends_the_run_with_its_error() {
        let result = each_file(&files(50), 2, &|_, _| {}, |file| match file.path.ends_with("13") {
            true => Err(Error::content(&file.path, "bad")),
            false => Ok(()),
        });
        assert_eq!(result.unwrap_err().to_string(), "13: bad");
    }
}
