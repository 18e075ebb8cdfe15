//! How much a guest may take of this machine.

use wasmtime::{Error, ResourceLimiter, Result};

/// Most elements of a guest's tables: a table is for functions, and a component has thousands.
const TABLE_ELEMENTS_MAX: usize = 100_000;

/// Most instances, tables and memories inside one component. Each composed part has a few.
const PARTS_MAX: usize = 64;

/// The limits of one guest.
#[derive(Debug)]
pub(crate) struct Limits {
    memory_bytes_max: usize,
    memory_bytes: usize,
}

impl Limits {
    pub(crate) const fn new(memory_bytes_max: usize) -> Self {
        Self { memory_bytes_max, memory_bytes: 0 }
    }

    /// Bytes of linear memory that the guest has.
    pub(crate) const fn memory_bytes(&self) -> usize {
        self.memory_bytes
    }
}

impl ResourceLimiter for Limits {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> Result<bool> {
        // Of all memories together: a component may have several.
        let wanted = self.memory_bytes.saturating_add(desired.saturating_sub(current));
        if self.memory_bytes_max < wanted {
            // Ends the guest here, where the reason is known, and not in its allocator.
            return Err(Error::msg(format!(
                "it asked for {wanted} bytes of memory and may have {}; remedy: raise memory_max, or \
                 lower call_bytes, buffer_bytes or dedupe_records",
                self.memory_bytes_max
            )));
        }
        self.memory_bytes = wanted;
        Ok(true)
    }

    fn table_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> Result<bool> {
        Ok(desired <= TABLE_ELEMENTS_MAX)
    }

    fn instances(&self) -> usize {
        PARTS_MAX
    }

    fn tables(&self) -> usize {
        PARTS_MAX
    }

    fn memories(&self) -> usize {
        PARTS_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_memories_together_stay_within_the_limit() {
        let mut limits = Limits::new(1_000);
        assert!(limits.memory_growing(0, 600, None).unwrap());
        assert!(limits.memory_growing(0, 400, None).unwrap());
        assert_eq!(limits.memory_bytes(), 1_000);
        let error = limits.memory_growing(600, 601, None).unwrap_err().to_string();
        let said = "it asked for 1001 bytes of memory and may have 1000; remedy: raise memory_max";
        assert!(error.starts_with(said), "{error}");
    }
}
