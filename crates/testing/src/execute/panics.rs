//! Panics of an EVM as text instead of noise on standard error.
//!
//! in   a closure that may panic
//! out  its value, or message and place of the panic; other panics of the process are printed as ever
//!
//! The hook is process-wide and installed once; it acts only on threads that are inside `caught` at that moment.

use std::{
    cell::{Cell, RefCell},
    panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook},
};

use crate::sync::Once;

thread_local! {
    static INSIDE: Cell<bool> = const { Cell::new(false) };
    static TEXT: RefCell<String> = const { RefCell::new(String::new()) };
}

static INSTALLED: Once = Once::new();

/// Runs a closure; a panic becomes the error.
pub(crate) fn caught<T>(closure: impl FnOnce() -> T) -> Result<T, String> {
    INSTALLED.call_once(|| {
        let outer = take_hook();
        set_hook(Box::new(move |panic| {
            if INSIDE.get() {
                TEXT.set(panic.to_string().replace('\n', " "));
            } else {
                outer(panic);
            }
        }));
    });
    let inside_before = INSIDE.replace(true);
    let result = catch_unwind(AssertUnwindSafe(closure));
    INSIDE.set(inside_before);
    result.map_err(|_| TEXT.take())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_tells_message_and_place() {
        let text = caught(|| panic!("number {}", 7)).unwrap_err();
        assert!(text.contains("number 7") && text.contains("panics.rs"), "{text}");
        assert_eq!(caught(|| 5), Ok(5));
        assert!(!INSIDE.get());
    }
}
