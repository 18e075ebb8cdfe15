//! Values that must never be printed, and that do not stay in memory when they are done with.

use std::collections::BTreeMap;
use std::fmt;

use zeroize::Zeroize;

/// A value that no log line, error or debug output can show, and that is overwritten when it is
/// dropped. Reading it takes [`Secret::expose`], so that every use can be found by name.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret<T: Wipe>(T);

/// What a [`Secret`] can hold: values that can be overwritten.
pub trait Wipe {
    /// Overwrites it, in a way that no compiler leaves out.
    fn wipe(&mut self);
}

impl Wipe for String {
    fn wipe(&mut self) {
        self.zeroize();
    }
}

impl<const LEN: usize> Wipe for [u8; LEN] {
    fn wipe(&mut self) {
        self.zeroize();
    }
}

/// Names are no secrets.
impl Wipe for BTreeMap<String, String> {
    fn wipe(&mut self) {
        self.values_mut().for_each(Zeroize::zeroize);
    }
}

impl<T: Wipe> Drop for Secret<T> {
    fn drop(&mut self) {
        self.0.wipe();
    }
}

impl<T: Wipe> Secret<T> {
    /// Hides `value`.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself, for the one place that has to send it.
    pub const fn expose(&self) -> &T {
        &self.0
    }
}

impl<T: Wipe> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[test]
    fn debug_output_shows_nothing_of_the_value() {
        assert_eq!(format!("{:?}", Some(Secret::new("hunter2".to_owned()))), "Some([redacted])");
    }

    #[test]
    fn whatever_a_secret_holds_is_overwritten_when_it_is_dropped() {
        /// Says what is left of a value when it goes.
        struct Witness<'a, T: Wipe + Clone>(T, &'a RefCell<Vec<T>>);
        impl<T: Wipe + Clone> Wipe for Witness<'_, T> {
            fn wipe(&mut self) {
                self.0.wipe();
                self.1.borrow_mut().push(self.0.clone());
            }
        }
        let left = RefCell::new(Vec::new());
        drop(Secret::new(Witness("hunter2".to_owned(), &left)));
        assert_eq!(left.take(), [""]);
        let left = RefCell::new(Vec::new());
        drop(Secret::new(Witness([7; 32], &left)));
        assert_eq!(left.take(), [[0; 32]]);
        let left = RefCell::new(Vec::new());
        let options = BTreeMap::from([("client_secret".to_owned(), "hunter2".to_owned())]);
        drop(Secret::new(Witness(options, &left)));
        assert!(left.take()[0].values().all(String::is_empty));
    }
}
