//! From a path that code writes down to the file that defines what it names.

use std::collections::BTreeSet;

use super::tree::{Crate, Meaning, ModulePath, Named};

/// What a path leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// The module that the path asks for the name.
    pub(super) asked: ModulePath,
    /// The module that defines it; another one where the first re-exports it.
    pub(super) defined: ModulePath,
}

/// Names that were looked up on the way, so that two that import each other are no endless way.
type Seen = BTreeSet<(ModulePath, String)>;

/// Where a path ends: at a module, or at something in one.
struct End {
    module: ModulePath,
    is_module: bool,
}

impl Crate {
    /// What a path leads to. `None` for what is not of this crate, and for what a `use` of the same
    /// file has named before.
    pub(super) fn resolve(&self, named: &Named) -> Option<Target> {
        let (start, rest) = self.start(&named.within, &named.segments)?;
        let mut asked = start.clone();
        for segment in rest {
            asked.push(segment.clone());
            if !self.modules.contains_key(&asked) {
                asked.pop();
                break;
            }
        }
        let end = self.walk(start, rest, &mut Seen::new());
        Some(Target { asked, defined: end.module })
    }

    /// The module where a path begins, and what follows.
    fn start<'a>(
        &self,
        within: &[String],
        segments: &'a [String],
    ) -> Option<(ModulePath, &'a [String])> {
        let mut at = within.to_vec();
        let (first, mut rest) = segments.split_first()?;
        match first.as_str() {
            "crate" => at.clear(),
            "self" => {}
            "super" => {
                at.pop();
            }
            _ => {
                at.push(first.clone());
                return self.modules.contains_key(&at).then_some((at, rest));
            }
        }
        while let Some(("super", after)) = rest.split_first().map(|(first, rest)| (&**first, rest))
        {
            at.pop();
            rest = after;
        }
        Some((at, rest))
    }

    fn walk(&self, mut at: ModulePath, rest: &[String], seen: &mut Seen) -> End {
        let Some((first, after)) = rest.split_first() else {
            return End { module: at, is_module: true };
        };
        at.push(first.clone());
        if self.modules.contains_key(&at) {
            return self.walk(at, after, seen);
        }
        at.pop();
        match self.look_up(&at, first, seen) {
            Some(End { module, is_module: true }) => self.walk(module, after, seen),
            Some(end) => end,
            // Made by a macro, as far as one can tell.
            None => End { module: at, is_module: false },
        }
    }

    /// What a name means in a module.
    fn look_up(&self, at: &[String], name: &str, seen: &mut Seen) -> Option<End> {
        if !seen.insert((at.to_vec(), name.to_owned())) {
            return None;
        }
        let module = self.modules.get(at)?;
        match module.meanings.get(name) {
            Some(Meaning::Defined) => Some(End { module: at.to_vec(), is_module: false }),
            Some(Meaning::Imported(path)) => {
                if let Some((start, rest)) = self.start(at, path) {
                    return Some(self.walk(start, rest, seen));
                }
                let (first, rest) = path.split_first()?;
                match self.look_up(at, first, seen) {
                    Some(End { module, is_module: true }) => Some(self.walk(module, rest, seen)),
                    Some(end) => Some(end),
                    // From another crate.
                    None => Some(End { module: at.to_vec(), is_module: false }),
                }
            }
            None => module.globs.iter().find_map(|path| {
                let (start, rest) = self.start(at, path)?;
                let End { mut module, is_module: true } = self.walk(start, rest, seen) else {
                    return None;
                };
                module.push(name.to_owned());
                if self.modules.contains_key(&module) {
                    return Some(End { module, is_module: true });
                }
                module.pop();
                self.look_up(&module, name, seen)
            }),
        }
    }
}
