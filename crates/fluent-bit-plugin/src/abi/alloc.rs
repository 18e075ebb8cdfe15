//! The allocator of a plugin. `malloc` in a plugin is the host's: the executable's symbols come
//! first. Fluent Bit's own builds carry jemalloc with a quantum of 8 bytes (`--with-lg-quantum=3`),
//! and Rust's system allocator takes for granted that `malloc` aligns to 16. Hash tables, whose
//! size is no multiple of their alignment, would then lie where aligned loads fault.

use std::alloc::{GlobalAlloc, Layout, System};
use std::ptr;

/// What every `malloc` keeps to.
const HOST_ALIGN: usize = align_of::<usize>();

/// More than what the system allocator takes from `malloc`, so that it asks `posix_memalign`.
const ASKED_ALIGN: usize = 32;

/// The host's memory, aligned as Rust wants it. [`register_input!`](crate::register_input) makes it
/// the plugin's global allocator.
#[derive(Clone, Copy, Debug)]
pub struct HostAllocator<A = System>(pub A);

/// The layout that is asked for in place of `layout`; `None` if there is no memory as large.
fn asked(layout: Layout) -> Option<Layout> {
    if layout.align() <= HOST_ALIGN {
        return Some(layout);
    }
    Layout::from_size_align(layout.size(), layout.align().max(ASKED_ALIGN)).ok()
}

// SAFETY: all memory is that of `A`, which is one; a layout always asks for the same other layout,
// of the same size and at least the same alignment.
unsafe impl<A: GlobalAlloc> GlobalAlloc for HostAllocator<A> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Some(asked) = asked(layout) else { return ptr::null_mut() };
        // SAFETY: its size is that of `layout`, which is not zero.
        unsafe { self.0.alloc(asked) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let Some(asked) = asked(layout) else { return ptr::null_mut() };
        // SAFETY: its size is that of `layout`, which is not zero.
        unsafe { self.0.alloc_zeroed(asked) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        let Some(asked) = asked(layout) else { return };
        // SAFETY: it was allocated with the layout that `layout` asks for.
        unsafe { self.0.dealloc(pointer, asked) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        let Some(asked) = asked(layout) else { return ptr::null_mut() };
        if Layout::from_size_align(bytes, asked.align()).is_err() {
            return ptr::null_mut();
        }
        // SAFETY: it was allocated with the layout that `layout` asks for; the new size is valid
        // with its alignment.
        unsafe { self.0.realloc(pointer, asked, bytes) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As far from 16 as jemalloc with a quantum of 8 may be.
    struct Lax;

    const OFF: usize = 8;

    impl Lax {
        fn is_lax(layout: Layout) -> bool {
            layout.align() <= 16
        }

        fn larger(layout: Layout) -> Layout {
            Layout::from_size_align(layout.size() + OFF, 16).expect("a small layout")
        }
    }

    // SAFETY: the system's memory, some of it behind the first bytes of a larger piece.
    unsafe impl GlobalAlloc for Lax {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            if Self::is_lax(layout) {
                // SAFETY: the size is not zero.
                let whole = unsafe { System.alloc(Self::larger(layout)) };
                return whole.wrapping_add(OFF);
            }
            // SAFETY: as the caller vouches.
            unsafe { System.alloc(layout) }
        }

        unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
            if Self::is_lax(layout) {
                let whole = pointer.wrapping_sub(OFF);
                // SAFETY: so it was allocated.
                return unsafe { System.dealloc(whole, Self::larger(layout)) };
            }
            // SAFETY: as the caller vouches.
            unsafe { System.dealloc(pointer, layout) }
        }
    }

    /// Whether memory of `allocator` lies right, also after it has grown.
    fn lies_right(allocator: &impl GlobalAlloc, layout: Layout) -> bool {
        let grown = Layout::from_size_align(layout.size() * 3, layout.align()).unwrap();
        // SAFETY: the size is not zero.
        let first = unsafe { allocator.alloc_zeroed(layout) };
        // SAFETY: it holds at least one byte.
        unsafe { first.write(7) };
        // SAFETY: allocated so, and the new size is not zero.
        let second = unsafe { allocator.realloc(first, layout, grown.size()) };
        // SAFETY: the first byte was moved.
        assert_eq!(unsafe { second.read() }, 7);
        // SAFETY: allocated so.
        unsafe { allocator.dealloc(second, grown) };
        [first, second].iter().all(|at| at.addr().is_multiple_of(layout.align()))
    }

    #[test]
    fn memory_lies_right_although_the_hosts_malloc_is_lax() {
        for bytes in [1, 8, 24, 36, 52, 1_000, 70_000] {
            for align in [1, 2, 4, 8, 16, 32, 64] {
                let layout = Layout::from_size_align(bytes, align).unwrap();
                assert!(lies_right(&HostAllocator(Lax), layout), "{layout:?}");
                assert_eq!(lies_right(&Lax, layout), align != 16, "{layout:?}");
            }
        }
    }
}
