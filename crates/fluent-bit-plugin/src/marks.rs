//! Sizes by which the host's sum of bytes tells which batches it has counted. Pure.
//!
//! The host counts batches in order, drops some uncounted, and shows sums only. A sum proves that
//! all batches up to one were counted if no other way of counting gives it: with some of them
//! dropped, and as many bytes of later ones in their place. So each batch gets a few bytes more
//! where its size would allow that. Bytes alone decide: the host raises one counter after the
//! other, and a reading may come in between.

/// Batches that may be uncounted at a time: what has to be excluded doubles with each.
pub(crate) const WINDOW_MAX: usize = 8;

/// The fewest bytes to add to a batch of this size, at least `least` and at most `most`, behind
/// `window`: the sizes of the batches that are not counted yet, oldest first. None if no number of
/// them will do; then the batch has to wait until some are counted.
///
/// Afterwards no prefix of the window has the sum of anything else that the host can count of it:
/// each batch once or not at all, and one of them twice.
pub(crate) fn padding(window: &[u64], bytes: u64, least: u64, most: u64) -> Option<u64> {
    if WINDOW_MAX <= window.len() {
        return None;
    }
    let (low, high) = (i128::from(bytes) + i128::from(least), i128::from(bytes) + i128::from(most));
    let gaps = gaps(window);
    let mut taken: Vec<i128> = Vec::new();
    for gap in &gaps {
        // The new batch fills a gap alone, beside another one that is counted twice, or by being
        // counted twice itself.
        let with_another = window.iter().map(|twice| gap - i128::from(*twice));
        let twice = (gap % 2 == 0).then_some(gap / 2);
        taken.extend(
            with_another.chain([*gap]).chain(twice).filter(|size| (low..=high).contains(size)),
        );
    }
    taken.sort_unstable();
    let mut size = low;
    for other in taken {
        if other == size {
            size += 1;
        }
    }
    u64::try_from(size - i128::from(bytes)).ok().filter(|padding| *padding <= most)
}

/// How many bytes are missing of a prefix of the window when some of its batches are dropped and
/// some behind it are counted, for all prefixes and all such choices.
fn gaps(window: &[u64]) -> Vec<i128> {
    let mut all = Vec::new();
    for end in 1..=window.len() {
        let mut gaps = vec![0_i128];
        let signed = |size: &u64| i128::from(*size);
        let steps =
            window[..end].iter().map(signed).chain(window[end..].iter().map(|s| -signed(s)));
        for step in steps {
            gaps.extend(gaps.clone().into_iter().map(|gap| gap + step));
        }
        all.append(&mut gaps);
    }
    all.sort_unstable();
    all.dedup();
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sizes of a window that was filled with batches of these sizes.
    fn filled(sizes: &[u64]) -> Vec<u64> {
        let mut window = Vec::new();
        for size in sizes {
            let padding = padding(&window, *size, 0, 1_000).expect("a few bytes will do");
            window.push(size + padding);
        }
        window
    }

    /// Every way of counting a window: how often each batch was.
    fn outcomes(len: usize) -> Vec<Vec<u64>> {
        let mut outcomes = Vec::new();
        for set in 0..1_u32 << len {
            let once: Vec<u64> = (0..len).map(|at| u64::from(set >> at & 1)).collect();
            for twice in (0..len).filter(|at| once[*at] == 1) {
                let mut counted = once.clone();
                counted[twice] = 2;
                outcomes.push(counted);
            }
            outcomes.push(once);
        }
        outcomes
    }

    #[track_caller]
    fn check(sizes: &[u64]) {
        let window = filled(sizes);
        for counted in outcomes(window.len()) {
            let sum: u64 = counted.iter().zip(&window).map(|(times, size)| times * size).sum();
            let mut mark = 0;
            for (last, size) in window.iter().enumerate() {
                mark += size;
                let dropped = counted[..=last].contains(&0);
                assert!(sum != mark || !dropped, "{window:?}: {counted:?} looks like {last}");
            }
        }
    }

    #[test]
    fn no_choice_of_dropped_and_doubled_batches_looks_like_a_prefix() {
        check(&[700; WINDOW_MAX]);
        check(&[1; WINDOW_MAX]);
        check(&[100, 200, 300, 400, 500, 600, 700, 800]);
        check(&[1_000_000, 1, 2, 3, 999_999, 1_000_000, 1_000_001, 6]);
        check(&[512, 256, 256, 128, 128, 512, 640, 1_024]);
        let mut random = 7_u64;
        for _ in 0..20 {
            let sizes: Vec<u64> = (0..WINDOW_MAX)
                .map(|_| {
                    random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    200 + (random >> 33) % 8 * 100
                })
                .collect();
            check(&sizes);
        }
    }

    #[test]
    fn a_window_of_equal_batches_costs_few_bytes() {
        let window = filled(&[700; WINDOW_MAX]);
        let added: u64 = window.iter().map(|size| size - 700).sum();
        assert!(added <= 160, "{window:?}");
        assert!(window.iter().all(|size| size - 700 <= 64), "{window:?}");
    }

    #[test]
    fn a_batch_that_cannot_be_made_unlike_waits() {
        let window = filled(&[700; 4]);
        assert_eq!(padding(&window, 700, 0, 0), None);
        assert_eq!(padding(&filled(&[700; WINDOW_MAX]), 1, 0, 1_000), None, "the window is full");
        assert_eq!(padding(&[], 700, 1, 8), Some(1));
        assert_eq!(padding(&[], 700, 0, 0), Some(0));
        assert_eq!(padding(&[], 700, 1, 0), None);
    }
}
